import type { Protocol } from "../core/service.ts";
import { type ArrivalEntry, type Ports, quicKey } from "./arrivals.ts";
import type { ForwardName, PlaneService } from "./plane-service.ts";
import type { ServiceState } from "./service-state.ts";

type Numbered = Pick<ServiceState, "number" | "forward" | "config" | "locals">;
type Range = Extract<ArrivalEntry, { kind: "range" | "reverse-range" }>;

/**
 * What arrives for these services: their VIPs, the ways back of translated ones, and the addresses that are VIPs and
 * nothing else. `favoured`: whose VIP wins while a service is between two methods. `own`: addresses the host has for
 * itself: a stray fragment to them is the kernel's business.
 */
export function arrivalsOf(
  services: readonly Numbered[],
  favoured: ForwardName,
  own: ReadonlySet<string>,
): ArrivalEntry[] {
  const entries = new Map<string, ArrivalEntry>();
  const ranges = new Map<string, Range>();
  const last = (state: Numbered): number => Number(state.forward === favoured);
  for (const state of [...services].sort((a, b) => last(a) - last(b))) {
    const service = state.number;
    if (state.config?.quic)
      for (const { address: server, local } of state.locals.values()) {
        const address = quicKey(service, server);
        entries.set(address, { kind: "quic", address, port: 0, protocol: "udp", service, local });
      }
    if (state.config?.part) continue;
    for (const { address, port, last: end, protocol } of state.config?.vips ?? []) {
      const ports = end === undefined ? null : { first: port, last: end };
      if (ports) addRange(ranges, { kind: "range", address, port: 0, protocol, service, ...ports });
      else entries.set(`${address} ${port} ${protocol}`, { kind: "vip", address, port, protocol, service });
      if (!own.has(address)) entries.set(address, { kind: "address", address, service });
      if (state.forward !== "nat") continue;
      // Also of those that drain: their flows still answer.
      for (const { address: from, port: fixed, number: backend } of state.locals.values()) {
        const way = { address: from, protocol, service, backend, vip: address };
        if (ports) addRange(ranges, { kind: "reverse-range", port: 0, ...way, ...ports });
        else {
          const fromPort = fixed || port;
          const reverse: ArrivalEntry = { kind: "reverse", ...way, port: fromPort, vipPort: port };
          entries.set(`reverse ${from} ${fromPort} ${protocol}`, reverse);
        }
      }
    }
  }
  return [...entries.values(), ...numbered([...ranges.values()])];
}

/** What `arrivalsOf` makes entries of, before anything is numbered; `backends`: those that drain among them. */
export interface Arriving {
  config: Pick<PlaneService, "vips" | "quic" | "part">;
  forward: ForwardName;
  backends: number;
}

/** At most so many entries come of these services. */
export function countArrivals(services: readonly Arriving[]): number {
  const addresses = new Set<string>();
  let count = 0;
  for (const { config, forward, backends } of services) {
    if (config.quic) count += backends;
    if (config.part) continue;
    count += config.vips.length * (forward === "nat" ? 1 + backends : 1);
    for (const { address } of config.vips) addresses.add(address);
  }
  return count + addresses.size;
}

const addRange = (ranges: Map<string, Range>, range: Range): void => {
  ranges.set(`${range.kind} ${range.address} ${range.protocol} ${range.first} ${range.last}`, range);
};

/** Counts the ranges of each address and protocol from 0 on, narrow ones first: the first that holds a port has it. */
function numbered(ranges: Range[]): Range[] {
  const width = ({ first, last }: Ports): number => last - first;
  const counts = new Map<string, number>();
  const next = (kind: string, address: string, protocol: Protocol): number => {
    const key = `${kind} ${address} ${protocol}`;
    const count = counts.get(key) ?? 0;
    counts.set(key, count + 1);
    return count;
  };
  return ranges
    .sort((a, b) => width(a) - width(b))
    .map((range) => ({ ...range, port: next(range.kind, range.address, range.protocol) }));
}
