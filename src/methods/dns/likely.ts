import type { Backend } from "../../core/backend.ts";
import type { Service } from "../../core/service.ts";
import { eligibleIds, type Snapshot } from "../../core/snapshot.ts";
import { compile } from "./compile.ts";
import type { DnsOptions } from "./options.ts";

/** Addresses of one kind that may be answered together. `ttl`: seconds. */
export interface LikelySet {
  v6: boolean;
  ttl: number;
  addresses: string[];
}

/** What a check could make of a backend next; null: checks have no say in its state. */
function otherwise(backend: Backend): Backend | null {
  if (backend.state === "up") return { ...backend, state: "down" };
  return backend.state === "down" ? { ...backend, state: "up" } : null;
}

/** The snapshot as it is, and as the next verdict on any one backend would have it. */
function* nextSnapshots(snapshot: Snapshot): Generator<Snapshot> {
  yield snapshot;
  if (snapshot.outlook === undefined) return;
  for (const [i, backend] of snapshot.backends.entries()) {
    const other = otherwise(backend);
    if (other === null) continue;
    const backends = snapshot.backends.with(i, other);
    yield { ...snapshot, backends, eligible: eligibleIds(backends) };
  }
}

/** While a backend is on its way to another state an adaptive TTL is another one. */
function* atEachTtl(snapshot: Snapshot): Generator<Snapshot> {
  const { outlook } = snapshot;
  yield snapshot;
  if (outlook !== undefined) yield { ...snapshot, outlook: { ...outlook, steady: !outlook.steady } };
}

/** Sets of one answer: all together, or each alone; of what lies between there are too many to tell them beforehand. */
function together(addresses: readonly string[], most: number): string[][] {
  const all = [...new Set(addresses)];
  if (all.length === 0) return [];
  if (all.length <= most) return [all];
  return most === 1 ? all.map((one) => [one]) : [];
}

/**
 * Every set of addresses that a service answers now, or will once a check has changed its mind about one backend: each
 * once. Pure. Of services whose answers hang on groups it says nothing.
 */
export function likelySets(service: Service<DnsOptions>, snapshot: Snapshot): LikelySet[] {
  const sets = new Map<string, LikelySet>();
  for (const next of nextSnapshots(snapshot))
    for (const one of atEachTtl(next)) {
      const { ttl, most, v4, v6 } = compile(service, one);
      for (const targets of [v4, v6])
        for (const addresses of together(
          targets.map(({ address }) => address),
          most,
        ))
          sets.set(`${ttl} ${[...addresses].sort()}`, { v6: targets === v6, ttl, addresses });
    }
  return [...sets.values()];
}
