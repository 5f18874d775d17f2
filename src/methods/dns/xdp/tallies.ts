import type { AddCount } from "../../../core/method.ts";
import { LIMITED, NXDOMAIN, places, TALLY_NAME, ZONE } from "../tally.ts";
import { DnsCount } from "./layout.ts";
import type { View } from "./view.ts";

const ANSWERED = places.SLUICE_DNS_XDP_ANSWERED;

/** Where each of the program's own counters is counted. */
const OWN: Readonly<Record<number, readonly number[]>> = {
  [DnsCount.DNS_COUNT_SERVICE]: [ANSWERED],
  [DnsCount.DNS_COUNT_ZONE]: [ANSWERED, ZONE],
  [DnsCount.DNS_COUNT_NXDOMAIN]: [ANSWERED, NXDOMAIN],
  [DnsCount.DNS_COUNT_PACKET]: [places.SLUICE_DNS_XDP_PACKET],
  [DnsCount.DNS_COUNT_MESSAGE]: [places.SLUICE_DNS_XDP_MESSAGE],
  [DnsCount.DNS_COUNT_EDNS]: [places.SLUICE_DNS_XDP_EDNS],
  [DnsCount.DNS_COUNT_NAME]: [places.SLUICE_DNS_XDP_NAME],
  [DnsCount.DNS_COUNT_TYPE]: [places.SLUICE_DNS_XDP_TYPE],
  [DnsCount.DNS_COUNT_CLIENT]: [places.SLUICE_DNS_XDP_CLIENT],
  [DnsCount.DNS_COUNT_SIZE]: [places.SLUICE_DNS_XDP_SIZE],
  [DnsCount.DNS_COUNT_STALE]: [places.SLUICE_DNS_XDP_STALE],
  [DnsCount.DNS_COUNT_LIMITED]: [LIMITED],
};

/** Adds what a counter of the program has risen by, where a worker would have counted it. */
export function addCounts({ services }: View, counter: number, more: number, add: AddCount): void {
  if (counter < DnsCount.DNS_COUNTS) {
    for (const place of OWN[counter] ?? []) add(TALLY_NAME, place, "requests", more);
    return;
  }
  let [low, high] = [0, services.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (services[middle]!.counter <= counter) low = middle;
    else high = middle - 1;
  }
  const { service, counter: first, ids } = services[low]!;
  add(service.name, -1, "requests", more);
  const backend = counter - first - 1;
  if (backend >= 0) add(service.name, ids[backend]!, "requests", more);
}
