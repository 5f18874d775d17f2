import { createHash } from "node:crypto";
import type { Backend } from "../../core/backend.ts";
import type { Service } from "../../core/service.ts";
import { eligibleIds, type Snapshot } from "../../core/snapshot.ts";
import type { Place } from "../../geo/places.ts";
import { compile } from "./compile.ts";
import type { DnsOptions } from "./options.ts";
import { leavesOf, planOf } from "./steering/plan.ts";
import type { Group } from "./steering/schema.ts";

/** Addresses of one kind that may be answered together. `ttl`: seconds. */
export interface LikelySet {
  v6: boolean;
  ttl: number;
  addresses: string[];
}

/** What a check, or the end of an operator's word, could make of a backend next; null: neither has a say in its state. */
function otherwise(backend: Backend): Backend | null {
  if (backend.state === "unchecked") return null;
  return { ...backend, state: backend.state === "up" ? "down" : "up" };
}

/** The snapshot as it is, and as the next change of any one backend would have it. */
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

/** A set is told from others by its text, or the digest of one that is longer. */
const LONG = 256;

/** The sets of one group of backends, or of all. */
function setsOf(service: Service<DnsOptions>, snapshot: Snapshot): LikelySet[] {
  const { ttl, most, v4, v6 } = compile(service, snapshot);
  return [v4, v6].flatMap((targets) =>
    together(
      targets.map(({ address }) => address),
      most,
    ).map((addresses) => ({ v6: targets === v6, ttl, addresses })),
  );
}

/**
 * Every set of addresses that a service answers now, or will once one backend has become another: to whomever, of all
 * groups that anybody gets. Each once; those of now first. Pure. A step of the generator costs what an answer after a
 * change does, and may give nothing new: with very many backends all of them together would take seconds.
 */
export function* likelySets(
  service: Service<DnsOptions>,
  snapshot: Snapshot,
  places: readonly Place[],
): Generator<LikelySet[]> {
  const seen = new Set<string>();
  const fresh = ({ ttl, addresses }: LikelySet): boolean => {
    const whole = addresses.length === 1 ? `${ttl} ${addresses[0]}` : `${ttl} ${[...addresses].sort()}`;
    // Thousands of sets of thousands of addresses are too much to be kept.
    const text = whole.length < LONG ? whole : createHash("sha256").update(whole).digest("base64");
    return !seen.has(text) && seen.add(text) !== undefined;
  };
  for (const next of nextSnapshots(snapshot))
    for (const leaf of leavesOf(planOf(service, next, places)))
      for (const one of atEachTtl(leaf.snapshot)) yield setsOf(service, one).filter(fresh);
}

/** How many sets that are, about: of each group that answers alone, with each of its backends the other way, at two times to live. */
export function likelyCount({ backends, options }: Service<DnsOptions>): number {
  const tags = backends.map((one) => one.tags);
  const count = (groups: readonly Group[], around: readonly string[][]): number =>
    groups.reduce((sum, { tag, groups: inside }) => {
      const own = around.filter((some) => tag === undefined || some.includes(tag));
      return sum + (inside === undefined ? 1 + own.length : count(inside, own));
    }, 0);
  return 2 * (1 + backends.length + count(options.steer?.groups ?? [], tags));
}
