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
