import { createPrivateKey } from "node:crypto";
import { statSync } from "node:fs";
import type { SecretKeeper } from "../../../core/method.ts";
import { ok, type Problem, type Result } from "../../../core/problem.ts";
import type { Service } from "../../../core/service.ts";
import { dsRdata, signSet } from "../../../protocols/dns/dnssec/rrsig.ts";
import { recordOf } from "../../../protocols/dns/master-file.ts";
import { nameToWire } from "../../../protocols/dns/name.ts";
import { Type } from "../../../protocols/dns/numbers.ts";
import type { DnsOptions, DnsSettings } from "../options.ts";
import { signedZones } from "../zones.ts";
import { defaultKeyFolder, makeKey, withKeys } from "./key-file.ts";
import {
  advance,
  dueAt,
  entryKeys,
  firstKeys,
  type KeyTimes,
  signingKey,
  wantedKey,
  type ZoneKey,
} from "./key-states.ts";
import type { DnsSecrets, ZoneSecrets } from "./secrets.ts";
import { isAhead, RENEWAL, SKEW } from "./terms.ts";

/** How long the states of keys last under these settings; of one zone and all, for a TTL may come from any record. */
export function keyTimes(services: readonly Service<DnsOptions>[], settings: DnsSettings): KeyTimes {
  const { dnskeyTtl, propagation, parentTtl, zskLifetime } = settings.dnssec!;
  const ttls = settings.zones.flatMap(({ lines }) => lines.map((line) => recordOf(line).ttl));
  const answers = services.map(({ options: { ttl } }) => (typeof ttl === "number" ? ttl : ttl.max));
  const zoneTtl = [...ttls, ...answers].reduce((most, ttl) => Math.max(most, ttl), Math.max(3600, settings.soa.ttl));
  return { dnskeyTtl, propagation, parentTtl, zoneTtl, zskLifetime: zskLifetime ?? null };
}

/** Most keys that `sluice status` shows. */
const MOST_LINES = 40;

/** What was made of a zone's keys, until the keys or the time ask for another. */
interface Made {
  keys: string;
  signedAt: number;
  renewAt: number;
  secrets: ZoneSecrets;
}

/**
 * Keeps the keys of signed zones, where the rights are: makes them, moves them through their states, and signs the
 * DNSKEY sets. Key-signing keys never leave this process; workers get the one zone-signing key that signs.
 */
export class Keeper implements SecretKeeper {
  readonly #clock: () => number;
  readonly #made = new Map<string, Made>();
  #lines: string[] = [];
  /** State of the folder and time at which there is something to do. */
  #seen = "";
  #due = 0;
  /** When it was last looked at. */
  #at = 0;
  #last: DnsSecrets | null = null;

  /** `clock`: seconds since 1970. */
  constructor(clock = () => Math.floor(Date.now() / 1000)) {
    this.#clock = clock;
  }

  keep(given: readonly Service[], settings: unknown, say: (text: string) => void): Result<DnsSecrets | null> {
    const services = given as readonly Service<DnsOptions>[];
    const { dnssec } = settings as DnsSettings;
    this.#lines = dnssec === undefined ? [] : this.#lines;
    if (dnssec === undefined) return ok(null);
    const zones = signedZones(services, settings as DnsSettings);
    const times = keyTimes(services, settings as DnsSettings);
    const folder = dnssec.keys ?? defaultKeyFolder();
    const seen = JSON.stringify([zones, times, dnssec, stamp(folder)]);
    const now = this.#clock();
    if (this.#last !== null && seen === this.#seen && now < this.#due && !isAhead(this.#at, now)) return ok(this.#last);
    this.#at = now;
    const problems: Problem[] = [];
    this.#lines = [];
    this.#due = Number.POSITIVE_INFINITY;
    const made = zones.flatMap((zone): ZoneSecrets[] => {
      try {
        return [this.#zone(zone, folder, times, dnssec.validity, say)];
      } catch (error) {
        problems.push(keyProblem(zone, (error as Error).message));
        return [];
      }
    });
    if (problems.length > 0) return { ok: false, problems };
    this.#seen = JSON.stringify([zones, times, dnssec, stamp(folder)]);
    this.#last = { zones: made };
    return ok(this.#last);
  }

  describe(): string[] {
    const more = this.#lines.length - MOST_LINES;
    return more > 0 ? [...this.#lines.slice(0, MOST_LINES), `and ${more} more: sluice dnssec status`] : this.#lines;
  }

  #zone(zone: string, folder: string, times: KeyTimes, validity: number, say: (text: string) => void): ZoneSecrets {
    const now = this.#clock();
    const keys = withKeys(folder, zone, (old) => {
      if (old.length === 0) {
        say(`${zone}: new keys in ${folder}`);
        return firstKeys(now, makeKey);
      }
      const { keys: next, said } = advance(old, now, times, makeKey);
      for (const sentence of said) say(`${zone}: ${sentence}`);
      return said.length > 0 ? next : null;
    });
    for (const key of keys) {
      this.#lines.push(`${zone}: ${keyText(key, times, now)}`);
      this.#due = Math.min(this.#due, dueAt(key, times) ?? Number.POSITIVE_INFINITY);
    }
    const fingerprint = JSON.stringify([keys, times.dnskeyTtl, validity]);
    const known = this.#made.get(zone);
    if (known?.keys === fingerprint && now < known.renewAt && !isAhead(known.signedAt, now)) {
      this.#due = Math.min(this.#due, known.renewAt);
      return known.secrets;
    }
    const renewAt = now + validity - Math.floor(validity / RENEWAL);
    const secrets = secretsOf(zone, keys, times.dnskeyTtl, now, validity);
    const made = { keys: fingerprint, signedAt: now, renewAt, secrets };
    this.#due = Math.min(this.#due, renewAt);
    this.#made.set(zone, made);
    return made.secrets;
  }
}

/** When was something in the folder replaced last? */
function stamp(folder: string): number {
  try {
    return statSync(folder).mtimeMs;
  } catch {
    return 0;
  }
}

const keyProblem = (zone: string, why: string): Problem => ({
  code: "SLUICE_DNS_KEYS",
  severity: "error",
  source: "config",
  path: ["dns", "dnssec", "keys"],
  message: `The keys of ${zone} cannot be used: ${why}.`,
});

/** `ZSK 4711 active since 2026-01-02T03:04:05Z, then retired after …`. */
export function keyText(key: ZoneKey, times: KeyTimes, now: number): string {
  const at = (seconds: number): string => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;
  const due = dueAt(key, times);
  const next =
    key.state === "ready"
      ? `, waits for its DS in the parent (sluice dnssec seen)`
      : due === null
        ? ""
        : `, next step ${due <= now ? "now" : at(due)}`;
  return `${key.role.toUpperCase()} ${key.tag} ${key.state} since ${at(key.since)}${next}`;
}

/** The sets that key-signing keys sign, signed. */
function secretsOf(zone: string, keys: readonly ZoneKey[], ttl: number, now: number, validity: number): ZoneSecrets {
  const apex = nameToWire(zone)!;
  const hex = (octets: Uint8Array): string => Buffer.from(octets).toString("hex");
  const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
  const wanted = bytes(wantedKey(keys).dnskey);
  const ds = dsRdata(apex, wanted);
  const terms = { signer: apex, inception: now - SKEW, expiration: now + validity };
  const signed = (type: number, rdata: Uint8Array[], by: readonly ZoneKey[]): ZoneSecrets["sets"][number] => ({
    type,
    rdata: rdata.map(hex),
    rrsigs: by.map(({ tag, privateKey }) =>
      hex(signSet({ owner: apex, type, ttl, rdata }, { ...terms, tag }, createPrivateKey(privateKey))),
    ),
  });
  // A CDS set counts only when a key signs it that the present DS leads to (RFC 7344 4.1): all that could be that.
  const linked = entryKeys(keys).filter(({ state }) => state === "active" || state === "ready");
  const { tag, privateKey } = signingKey(keys);
  return {
    zone,
    ttl,
    sets: [
      signed(
        Type.DNSKEY,
        keys.map(({ dnskey }) => bytes(dnskey)),
        entryKeys(keys),
      ),
      signed(Type.CDS, [ds], linked),
      signed(Type.CDNSKEY, [wanted], linked),
    ],
    ds: [hex(ds)],
    zsk: { tag, privateKey },
  };
}
