import type { Code } from "../../core/codes.ts";
import { counterIndex } from "../../core/counters.ts";
import { type ServiceCells, tallyName } from "../../core/method.ts";

/** What is counted of queries beside the services' own counts. The place in the list is the place of the cell. */
export const tallies = [
  "SLUICE_DNS_FORMERR",
  "SLUICE_DNS_REFUSED",
  "SLUICE_DNS_NOTIMP",
  "SLUICE_DNS_BADVERS",
  "SLUICE_DNS_SILENT",
  "SLUICE_DNS_NXDOMAIN",
  "SLUICE_DNS_ZONE",
  "SLUICE_DNS_TRUNCATED",
  "SLUICE_DNS_BADCOOKIE",
  "SLUICE_DNS_LIMITED",
  "SLUICE_DNS_UNSIGNED",
  "SLUICE_DNS_BADTSIG",
  "SLUICE_DNS_XDP_ANSWERED",
  "SLUICE_DNS_XDP_PACKET",
  "SLUICE_DNS_XDP_MESSAGE",
  "SLUICE_DNS_XDP_EDNS",
  "SLUICE_DNS_XDP_NAME",
  "SLUICE_DNS_XDP_TYPE",
  "SLUICE_DNS_XDP_CLIENT",
  "SLUICE_DNS_XDP_SIZE",
  "SLUICE_DNS_XDP_STALE",
] as const satisfies readonly Code[];

export const TALLY_NAME = tallyName("dns");

const REQUESTS = counterIndex.requests;
export const places = Object.fromEntries(tallies.map((code, i) => [code, i])) as Record<
  (typeof tallies)[number],
  number
>;

/** Adds one to a code's cell. */
export type Tally = (place: number) => void;
export const tallyOf =
  (cells: ServiceCells): Tally =>
  (place) =>
    cells.add(place, REQUESTS, 1);

export const {
  SLUICE_DNS_FORMERR: FORMERR,
  SLUICE_DNS_REFUSED: REFUSED,
  SLUICE_DNS_NOTIMP: NOTIMP,
  SLUICE_DNS_BADVERS: BADVERS,
  SLUICE_DNS_SILENT: SILENT,
  SLUICE_DNS_NXDOMAIN: NXDOMAIN,
  SLUICE_DNS_ZONE: ZONE,
  SLUICE_DNS_TRUNCATED: TRUNCATED,
  SLUICE_DNS_BADCOOKIE: BADCOOKIE,
  SLUICE_DNS_LIMITED: LIMITED,
  SLUICE_DNS_UNSIGNED: UNSIGNED,
  SLUICE_DNS_BADTSIG: BADTSIG,
} = places;
