import type { Counts } from "../core/counters.ts";
import type { CountsByService, KernelCounts } from "../core/method.ts";
import { addTraffic, noTraffic, type Traffic } from "./counting.ts";
import { type Plane, stateKey } from "./plane.ts";
import { ownerOf } from "./plane-service.ts";
import type { ServiceState } from "./service-state.ts";
import { flowsOf } from "./turns.ts";

/** What the program has counted for these services, their parts for places in them. */
export function kernelCounts(plane: Plane, states: readonly ServiceState[]): CountsByService {
  const byOwner = Map.groupBy(states, ({ name }) => ownerOf(name));
  return {
    get: (service) =>
      byOwner
        .get(service)
        ?.map((state) => countsOf(plane, state))
        .reduce(together),
  };
}

/** Only nat sees what goes back to clients. */
const shown = ({ forward }: ServiceState, t: Traffic): Partial<Counts> =>
  forward === "nat" ? t : { packetsIn: t.packetsIn, bytesIn: t.bytesIn };

function countsOf({ counting, memory }: Plane, state: ServiceState): KernelCounts {
  const sum = noTraffic();
  addTraffic(sum, counting.retired(stateKey(state.forward, state.name)));
  const flows = state.remembers ? { active: 0, connections: state.formerFlows } : null;
  const backends: KernelCounts["backends"] = new Map();
  const locals = [...state.locals.values()];
  const counted = counting.backends(locals.map(({ number }) => number));
  for (const [i, one] of locals.entries()) {
    const traffic = counted[i]!;
    addTraffic(sum, traffic);
    const own = flows && flowsOf(memory, one.number);
    if (flows && own) {
      flows.active += own.active;
      flows.connections += own.connections;
    }
    if (one.id !== null) backends.set(one.id, { ...shown(state, traffic), ...own });
  }
  const drops = counting.drops(state.number);
  const dropped = Object.values(drops).reduce((total, count) => total + count, 0);
  // A service by place has shares for each place: none that are the service's.
  const shares = state.config?.near ? null : state.shares;
  return {
    service: { ...shown(state, sum), ...flows, drops: dropped },
    backends,
    drops,
    ...(shares ? { shares } : {}),
  };
}

function together(a: KernelCounts, b: KernelCounts): KernelCounts {
  const ids = new Set([...a.backends.keys(), ...b.backends.keys()]);
  return {
    service: added(a.service, b.service),
    backends: new Map([...ids].map((id) => [id, added(a.backends.get(id) ?? {}, b.backends.get(id) ?? {})])),
    drops: added(a.drops, b.drops),
  };
}

function added<K extends string>(a: Partial<Record<K, number | null>>, b: typeof a): Partial<Record<K, number>> {
  const sum: Partial<Record<K, number>> = {};
  for (const each of [a, b])
    for (const [key, value] of Object.entries(each) as [K, number | null][]) sum[key] = (sum[key] ?? 0) + (value ?? 0);
  return sum;
}
