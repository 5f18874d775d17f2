import type { EligibleSet } from "../core/scheduler.ts";

/**
 * For every index of `next` the index the same backend had in `before`, -1 for a new one. By name: an id may have
 * been given to another backend since. How a scheduler carries its state over a change of the set.
 */
export function formerIndices(next: EligibleSet, before: EligibleSet): Int32Array {
  const places = new Map(before.names.map((name, index) => [name, index]));
  return Int32Array.from(next.names, (name) => places.get(name) ?? -1);
}
