import { ok, type Problem, type Result, refuse } from "../../../core/problem.ts";
import type { Service } from "../../../core/service.ts";
import { dsRdata } from "../../../protocols/dns/dnssec/rrsig.ts";
import { nameToWire } from "../../../protocols/dns/name.ts";
import type { DnsOptions, DnsSettings } from "../options.ts";
import { signedZones } from "../zones.ts";
import { keyText, keyTimes } from "./keeper.ts";
import { defaultKeyFolder, makeKey, withKeys } from "./key-file.ts";
import {
  advance,
  begin,
  dsSeen,
  dueAt,
  firstKeys,
  type Lapse,
  type Role,
  wantedKey,
  type ZoneKey,
} from "./key-states.ts";

/** Something that a command says of a zone, for people (`text`, a line) and for programs. Times in ms since 1970. */
export interface Said {
  zone: string;
  text: string;
  /** `due`: when it comes into its next state by itself; null: never, or by an operator's word. */
  key?: Pick<ZoneKey, "role" | "tag" | "state"> & { since: number; due: number | null };
  ds?: { tag: number; algorithm: number; digestType: number; digest: string };
}

/** What a command does, given services and settings of the file and its own words: what it says, or why not. */
export type Operator = (services: readonly Service[], settings: unknown, words: readonly string[]) => Result<Said[]>;

type Say = (text: string, facts?: Pick<Said, "key" | "ds">) => void;

const problem = (message: string, hint?: string): Problem => ({
  code: "SLUICE_DNS_KEYS",
  severity: "error",
  source: "config",
  path: ["dns", "dnssec"],
  message,
  ...(hint === undefined ? {} : { hint }),
});

const now = (): number => Math.floor(Date.now() / 1000);

/** The zones that are meant: the one that is named, or all. */
function zonesOf(services: readonly Service[], settings: unknown, named?: string): Result<string[]> {
  if ((settings as DnsSettings | undefined)?.dnssec === undefined)
    return refuse(problem("No zone is signed.", "Write dnssec under the top-level dns key."));
  const zones = signedZones(services as readonly Service<DnsOptions>[], settings as DnsSettings);
  if (named === undefined) return ok(zones);
  const name = named.toLowerCase().replace(/\.$/, "");
  return zones.includes(name)
    ? ok([name])
    : refuse(problem(`"${named}" is no signed zone.`, `Signed are: ${zones.join(", ")}.`));
}

/** Runs `work` on the keys of each zone; a file that cannot be used refuses. */
function onKeys(
  services: readonly Service[],
  settings: unknown,
  named: string | undefined,
  work: (zone: string, keys: ZoneKey[], say: Say) => ZoneKey[] | Problem | null,
): Result<Said[]> {
  const zones = zonesOf(services, settings, named);
  if (!zones.ok) return zones;
  const folder = (settings as DnsSettings).dnssec!.keys ?? defaultKeyFolder();
  const lines: Said[] = [];
  const problems: Problem[] = [];
  for (const zone of zones.value) {
    try {
      withKeys(folder, zone, (keys) => {
        const made = work(zone, keys, (text, facts) => void lines.push({ zone, text, ...facts }));
        if (made === null || Array.isArray(made)) return made;
        problems.push(made);
        return null;
      });
    } catch (error) {
      problems.push(problem(`The keys of ${zone} cannot be used: ${(error as Error).message}.`));
    }
  }
  return problems.length > 0 ? refuse(...problems) : ok(lines);
}

const noKeys = (zone: string): Problem => problem(`${zone} has no keys yet.`, "sluice dnssec keys makes them.");

/** A change of a zone's keys that an operator asks for, after what is due by itself. */
const changing =
  (change: (keys: readonly ZoneKey[], words: readonly string[]) => Lapse | Problem): Operator =>
  (services, settings, words) =>
    onKeys(services, settings, words[0], (zone, keys, say) => {
      if (keys.length === 0) return noKeys(zone);
      const times = keyTimes(services as readonly Service<DnsOptions>[], settings as DnsSettings);
      const due = advance(keys, now(), times, makeKey);
      const done = change(due.keys, words);
      if (!("keys" in done)) return done;
      for (const line of [...due.said, ...done.said]) say(line);
      if (done.said.length === 0) say("a rollover of that kind is under way already");
      return done.keys;
    });

const roll = (role: Role): Operator => changing((keys) => begin(keys, role, now(), makeKey));

const status: Operator = (services, settings) =>
  onKeys(services, settings, undefined, (_zone, keys, say) => {
    const times = keyTimes(services as readonly Service<DnsOptions>[], settings as DnsSettings);
    if (keys.length === 0) say("no keys yet");
    for (const key of keys) {
      const { role, tag, state, since } = key;
      const due = dueAt(key, times);
      const facts = { role, tag, state, since: since * 1000, due: due === null ? null : due * 1000 };
      say(keyText(key, times, now()), { key: facts });
    }
    return null;
  });

const keys: Operator = (services, settings) =>
  onKeys(services, settings, undefined, (_zone, old, say) => {
    say(old.length === 0 ? "keys are made" : "has keys");
    return old.length === 0 ? firstKeys(now(), makeKey) : null;
  });

const ds: Operator = (services, settings, words) =>
  onKeys(services, settings, words[0], (zone, keys, say) => {
    if (keys.length === 0) return noKeys(zone);
    const rdata = dsRdata(nameToWire(zone)!, Uint8Array.from(Buffer.from(wantedKey(keys).dnskey, "hex")));
    const digest = Buffer.from(rdata.subarray(4)).toString("hex").toUpperCase();
    const record = { tag: (rdata[0]! << 8) | rdata[1]!, algorithm: rdata[2]!, digestType: rdata[3]!, digest };
    say(`IN DS ${Object.values(record).join(" ")}`, { ds: record });
    return null;
  });

const seen = changing((keys, [, tag]) => {
  const done = /^\d{1,5}$/.test(tag ?? "") ? dsSeen(keys, Number(tag), now()) : null;
  if (done !== null) return done;
  const waiting = keys.filter(({ role, state }) => role === "ksk" && state === "ready").map((key) => key.tag);
  const hint = waiting.length > 0 ? `Waiting: ${waiting.join(", ")}.` : "None waits for the parent.";
  return problem(`"${tag}" is not the tag of a key that waits for its DS.`, hint);
});

/** The commands of `sluice dnssec`. A daemon looks at the key folder every few seconds, and follows. */
export const operators = { status, keys, ds, rollZsk: roll("zsk"), rollKsk: roll("ksk"), seen } satisfies Record<
  string,
  Operator
>;

/** A line for people; a DS record is one of a zone file. */
export const saidText = ({ zone, text, ds: record }: Said): string => `${zone}${record ? "." : ":"} ${text}`;
