import type { ArrivalEntry } from "./arrivals.ts";
import type { ForwardName } from "./plane-service.ts";
import type { ServiceState } from "./service-state.ts";

/**
 * What arrives for these services: their VIPs, the ways back of translated ones, and the addresses that are VIPs and
 * nothing else. `favoured`: whose VIP wins while a service is between two methods. `own`: addresses the host has for
 * itself: a stray fragment to them is the kernel's business.
 */
export function arrivalsOf(
  services: readonly ServiceState[],
  favoured: ForwardName,
  own: ReadonlySet<string>,
): ArrivalEntry[] {
  const entries = new Map<string, ArrivalEntry>();
  const last = (state: ServiceState): number => Number(state.forward === favoured);
  for (const state of [...services].sort((a, b) => last(a) - last(b))) {
    const service = state.number;
    for (const { address, port, protocol } of state.config?.vips ?? []) {
      entries.set(`${address} ${port} ${protocol}`, { kind: "vip", address, port, protocol, service });
      if (!own.has(address)) entries.set(address, { kind: "address", address, service });
      if (state.forward !== "nat") continue;
      // Also of those that drain: their flows still answer.
      for (const { address: from, port: fromPort, number: backend } of state.locals.values())
        entries.set(`reverse ${from} ${fromPort} ${protocol}`, {
          kind: "reverse",
          address: from,
          port: fromPort,
          protocol,
          service,
          backend,
          vip: address,
          vipPort: port,
        });
    }
  }
  return [...entries.values()];
}
