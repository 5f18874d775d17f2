import type { Running } from "../../../core/method.ts";
import type { DnsSettings } from "../options.ts";
import { DnsFlag } from "./layout.ts";

/** Options of queries that the answer hangs on under these settings. */
export const flagsOf = ({ nsid, clientSubnet }: DnsSettings): number =>
  (nsid === undefined ? 0 : DnsFlag.DNS_FLAG_NSID) | (clientSubnet ? DnsFlag.DNS_FLAG_SUBNET : 0);

/** Why these settings leave nothing to the kernel; null: they do not. */
export function servedApart({ rateLimit, cookies }: DnsSettings): string | null {
  if (rateLimit !== undefined) return "rateLimit counts every answer";
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
