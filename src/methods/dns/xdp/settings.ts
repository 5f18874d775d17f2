import type { Running } from "../../../core/method.ts";
import type { Geography, Service } from "../../../core/service.ts";
import { placeTrie } from "../../../geo/places.ts";
import { parsePrefix } from "../../../geo/prefix.ts";
import { trieOf } from "../../../geo/trie.ts";
import type { DnsOptions, DnsSettings } from "../options.ts";
import { goesBy } from "../steering/plan.ts";
import { DnsFlag } from "./layout.ts";
import type { ProgramSettings } from "./program.ts";
import { ratesOf, tooLong } from "./rates.ts";
import { toStrides } from "./regions.ts";

/** Options of queries that the answer hangs on under these settings, and whether some networks are not limited. */
const flagsOf = ({ nsid, clientSubnet, rateLimit }: DnsSettings): number =>
  (nsid === undefined ? 0 : DnsFlag.DNS_FLAG_NSID) |
  (clientSubnet ? DnsFlag.DNS_FLAG_SUBNET : 0) |
  (rateLimit && rateLimit.except.length > 0 ? DnsFlag.DNS_FLAG_EXCEPT : 0);

const goesByPlace = ({ nearest, options: { steer } }: Service<DnsOptions>): boolean =>
  nearest || (steer !== undefined && goesBy(steer, "nearest"));

/**
 * All but the addresses that the program answers for. The database of places is read only where a service goes by place;
 * throws when it cannot be read any more.
 */
export function programSettings(
  settings: DnsSettings,
  geography: Geography,
  seed: number,
  services: readonly Service<DnsOptions>[],
): Omit<ProgramSettings, "endpoints"> {
  const { udpSize, rateLimit } = settings;
  const except = rateLimit?.except ?? [];
  // In the order of DNS_ROOT_PLACES and DNS_ROOT_EXCEPT.
  const tries = [
    services.some(goesByPlace) ? placeTrie(geography) : null,
    except.length === 0 ? null : trieOf(except.map((text) => parsePrefix(text)!)),
  ];
  return {
    udpSize,
    flags: flagsOf(settings),
    regions: toStrides(tries),
    rates: rateLimit === undefined ? null : ratesOf(rateLimit, seed),
  };
}

/** Why these settings leave nothing to the kernel; null: they do not. */
export function servedApart({ rateLimit, cookies }: DnsSettings): string | null {
  if (rateLimit !== undefined && tooLong(rateLimit)) return "rateLimit: burst is that of more than four minutes";
  return cookies.require ? "cookies are required" : null;
}

/** Does the second revision serve other names, or otherwise, than the first? Health and backends do not count. */
export function othersServed(before: Running, after: Running): boolean {
  const [old, next] = [before, after].map(({ services }) => services.map(({ names }) => names));
  const same = (a: readonly string[], b: readonly string[]): boolean =>
    a.length === b.length && a.every((name, i) => name === b[i]);
  if (old!.length !== next!.length || !old!.every((names, i) => same(names, next![i]!))) return true;
  return JSON.stringify(before.settings) !== JSON.stringify(after.settings);
}
