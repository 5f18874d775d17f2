import type { EligibleSet, Outcome } from "../core/scheduler.ts";
import { formerIndices } from "./carry.ts";

/** After this long an old answer weighs 1/e of a new one, ms. */
const DECAY = 5000;
/** What a failed unit of work counts as, ms: a backend that fails fast must not look fast. */
const FAILED = 1000;

/**
 * How long each backend takes, seen from beginnings and ends alone. By Little's law (Operations Research 9, 1961) the
 * time that all work together spends at a backend, divided by the pieces that end, is their mean time there: so no
 * piece needs a clock of its own. Smoothed over time; what is under way counts once it takes longer than that.
 */
export class Latency {
  readonly set: EligibleSet;
  readonly #now: () => number;
  readonly #active: Float64Array;
  /** Time that work has spent here since the last end. */
  readonly #spent: Float64Array;
  readonly #at: Float64Array;
  readonly #mean: Float64Array;
  /** When the mean was last made; -1: never. */
  readonly #meanAt: Float64Array;

  constructor(set: EligibleSet, now: () => number, before?: Latency) {
    const { length } = set.ids;
    this.set = set;
    this.#now = now;
    this.#active = new Float64Array(length);
    this.#spent = new Float64Array(length);
    this.#at = new Float64Array(length).fill(now());
    this.#mean = new Float64Array(length);
    this.#meanAt = new Float64Array(length).fill(-1);
    if (before) this.#carry(before);
  }

  /** Work that began before a change of the set still ends here. A new backend is taken to be as fast as the mean. */
  #carry(before: Latency): void {
    const known = before.#mean.filter((_, i) => before.#meanAt[i]! >= 0);
    const typical = known.length === 0 ? 0 : known.reduce((sum, ms) => sum + ms, 0) / known.length;
    formerIndices(this.set, before.set).forEach((old, i) => {
      this.#mean[i] = old < 0 ? typical : before.#mean[old]!;
      if (old < 0) return;
      this.#active[i] = before.#active[old]!;
      this.#spent[i] = before.#spent[old]!;
      this.#at[i] = before.#at[old]!;
      this.#meanAt[i] = before.#meanAt[old]!;
    });
  }

  /**
   * ms that a unit of work takes at this backend, as far as is known; 0 when nothing is. What is known of one that gets
   * no work fades, so that it is tried again.
   */
  of(index: number): number {
    const active = this.#active[index]!;
    if (active === 0) return this.#mean[index]! * Math.exp((this.#at[index]! - this.#now()) / DECAY);
    // A backend that has stopped ending anything grows slower by the moment.
    const waited = (this.#spent[index]! + active * (this.#now() - this.#at[index]!)) / active;
    return Math.max(this.#mean[index]!, waited);
  }

  began(index: number): void {
    this.#advance(index, this.#now());
    this.#active[index]!++;
  }

  ended(index: number, outcome: Outcome): void {
    const now = this.#now();
    this.#advance(index, now);
    if (this.#active[index]! > 0) this.#active[index]!--;
    // Who left says nothing of the backend, but the time it spent here is not the next one's.
    const sample = outcome === "failed" ? Math.max(FAILED, this.#spent[index]!) : this.#spent[index]!;
    this.#spent[index] = 0;
    if (outcome === "aborted") return;
    const last = this.#meanAt[index]!;
    const keep = last < 0 ? 0 : Math.exp(-Math.max(1, now - last) / DECAY);
    // However close answers follow each other, each counts for a little.
    const mean = this.#mean[index]!;
    this.#mean[index] = last < 0 ? sample : mean + (sample - mean) * Math.max(1 - keep, 1 / 64);
    this.#meanAt[index] = now;
  }

  #advance(index: number, now: number): void {
    this.#spent[index]! += this.#active[index]! * (now - this.#at[index]!);
    this.#at[index] = now;
  }
}
