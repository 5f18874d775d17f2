import type { Backend, BackendState } from "./backend.ts";

/** The backends of one service at one moment: immutable, plain JSON, one message per service. */
export interface Snapshot {
  service: string;
  /** The configuration's number. */
  revision: number;
  /** +1 per health or weight change. */
  generation: number;
  /** All backends: stickiness and draining need them. */
  backends: readonly Backend[];
  /** Ids (not positions) of those that may get new work, ascending. */
  eligible: readonly number[];
  /** What is known of the next change; absent where nothing is. */
  outlook?: Outlook;
}

/** How soon a snapshot could be another one by the checks, and by what is said for a time. */
export interface Outlook {
  /** ms; in how many verdicts a state could be another, the first of which may come at once. Null: nothing is checked. */
  soonest: number | null;
  /** Is no backend on its way to another state? A change here makes a new snapshot too. */
  steady: boolean;
  /** ms; no operator's word ends sooner. A new snapshot comes before that is too long. Absent: none has an end. */
  word?: number;
}

const serves = (state: BackendState): boolean => state === "up" || state === "unchecked";

/**
 * The ids that may get new work: those that serve and have weight, of the lowest tier that has any.
 * Pure; ascending by id, so that two directors with equal sets build equal tables.
 */
export function eligibleIds(backends: readonly Backend[]): number[] {
  let ids: number[] = [];
  let [lowest, sorted] = [Number.POSITIVE_INFINITY, true];
  for (const { id, state, weight, tier } of backends) {
    if (weight === 0 || tier > lowest || !serves(state)) continue;
    if (tier < lowest) [ids, lowest, sorted] = [[], tier, true];
    sorted &&= ids.length === 0 || ids.at(-1)! < id;
    ids.push(id);
  }
  return sorted ? ids : ids.sort((a, b) => a - b);
}

/** The average of the loads that a snapshot's backends report, once for each. */
const usualLoads = new WeakMap<Snapshot, number>();

/**
 * How busy a backend says it is, 0..1. One that says nothing counts as the average of those that do: as neither idle nor
 * busy; 0 when nobody does.
 */
export function reportedLoad(snapshot: Snapshot, backend: Backend | undefined): number {
  if (typeof backend?.load === "number") return backend.load;
  let usual = usualLoads.get(snapshot);
  if (usual === undefined) {
    const known = snapshot.backends.flatMap(({ load }) => (load === null ? [] : [load]));
    usual = known.reduce((sum, load) => sum + load, 0) / Math.max(1, known.length);
    usualLoads.set(snapshot, usual);
  }
  return usual;
}
