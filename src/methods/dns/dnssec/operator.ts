import { ok, type Problem, type Result, refuse } from "../../../core/problem.ts";
import type { Service } from "../../../core/service.ts";
import { dsRdata } from "../../../protocols/dns/dnssec/rrsig.ts";
import { nameToWire } from "../../../protocols/dns/name.ts";
import type { DnsOptions, DnsSettings } from "../options.ts";
import { signedZones } from "../zones.ts";
import { keyText, keyTimes } from "./keeper.ts";
import { defaultKeyFolder, makeKey, withKeys } from "./key-file.ts";
import { advance, begin, dsSeen, firstKeys, type Lapse, type Role, wantedKey, type ZoneKey } from "./key-states.ts";

/** What a command does, given services and settings of the file and its own words: lines to print, or why not. */
export type Operator = (services: readonly Service[], settings: unknown, words: readonly string[]) => Result<string[]>;

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
  work: (zone: string, keys: ZoneKey[], say: (line: string) => void) => ZoneKey[] | Problem | null,
): Result<string[]> {
  const zones = zonesOf(services, settings, named);
  if (!zones.ok) return zones;
  const folder = (settings as DnsSettings).dnssec!.keys ?? defaultKeyFolder();
  const lines: string[] = [];
  const problems: Problem[] = [];
  for (const zone of zones.value) {
    try {
      withKeys(folder, zone, (keys) => {
        const made = work(zone, keys, (line) => void lines.push(line));
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
      for (const line of [...due.said, ...done.said]) say(`${zone}: ${line}`);
      if (done.said.length === 0) say(`${zone}: a rollover of that kind is under way already`);
      return done.keys;
    });

const roll = (role: Role): Operator => changing((keys) => begin(keys, role, now(), makeKey));

const status: Operator = (services, settings) =>
  onKeys(services, settings, undefined, (zone, keys, say) => {
    const times = keyTimes(services as readonly Service<DnsOptions>[], settings as DnsSettings);
    if (keys.length === 0) say(`${zone}: no keys yet`);
    for (const key of keys) say(`${zone}: ${keyText(key, times, now())}`);
    return null;
  });

const keys: Operator = (services, settings) =>
  onKeys(services, settings, undefined, (zone, old, say) => {
    say(`${zone}: ${old.length === 0 ? "keys are made" : "has keys"}`);
    return old.length === 0 ? firstKeys(now(), makeKey) : null;
  });

const ds: Operator = (services, settings, words) =>
  onKeys(services, settings, words[0], (zone, keys, say) => {
    if (keys.length === 0) return noKeys(zone);
    const rdata = dsRdata(nameToWire(zone)!, Uint8Array.from(Buffer.from(wantedKey(keys).dnskey, "hex")));
    const tag = (rdata[0]! << 8) | rdata[1]!;
    say(
      `${zone}. IN DS ${tag} ${rdata[2]} ${rdata[3]} ${Buffer.from(rdata.subarray(4)).toString("hex").toUpperCase()}`,
    );
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
