import type { EligibleSet, Outcome } from "../core/scheduler.ts";
import { formerIndices } from "./carry.ts";

/** After this long an old answer weighs 1/e of a new one, ms. */
const DECAY = 5000;
/** What a failed unit of work counts as, ms: a backend that fails fast must not look fast. */
const FAILED = 1000;

/**
 * Places in what is known of a backend: how much is under way, the time that work has spent there since the last end,
 * until when that is reckoned, the mean, and when it was last made (-1: never). One line of the cache for each.
 */
const [ACTIVE, SPENT, AT, MEAN, MEAN_AT] = [0, 1, 2, 3, 4];
const WIDTH = 8;

/**
 * How long each backend takes, seen from beginnings and ends alone. By Little's law (Operations Research 9, 1961) the
 * time that all work together spends at a backend, divided by the pieces that end, is their mean time there: so no
 * piece needs a clock of its own. Smoothed over time; what is under way counts once it takes longer than that.
 */
export class Latency {
  readonly set: EligibleSet;
  readonly #now: () => number;
  readonly #known: Float64Array;

  constructor(set: EligibleSet, now: () => number, before?: Latency) {
    this.set = set;
    this.#now = now;
    this.#known = new Float64Array(set.ids.length * WIDTH);
    for (let at = 0; at < this.#known.length; at += WIDTH) {
      this.#known[at + AT] = now();
      this.#known[at + MEAN_AT] = -1;
    }
    if (before) this.#carry(before);
  }

  /** Work that began before a change of the set still ends here. A new backend is taken to be as fast as the mean. */
  #carry(before: Latency): void {
    const means = before.set.ids.flatMap((_, i) =>
      before.#known[i * WIDTH + MEAN_AT]! >= 0 ? [before.#known[i * WIDTH + MEAN]!] : [],
    );
    const typical = means.length === 0 ? 0 : means.reduce((sum, ms) => sum + ms, 0) / means.length;
    formerIndices(this.set, before.set).forEach((old, i) => {
      if (old < 0) this.#known[i * WIDTH + MEAN] = typical;
      else this.#known.set(before.#known.subarray(old * WIDTH, (old + 1) * WIDTH), i * WIDTH);
    });
  }

  /**
   * ms that a unit of work takes at this backend, as far as is known; 0 when nothing is. What is known of one that gets
   * no work fades, so that it is tried again.
   */
  of(index: number): number {
    const known = this.#known;
    const at = index * WIDTH;
    const active = known[at + ACTIVE]!;
    const since = known[at + AT]! - this.#now();
    if (active === 0) return known[at + MEAN]! * Math.exp(since / DECAY);
    // A backend that has stopped ending anything grows slower by the moment.
    const waited = (known[at + SPENT]! - active * since) / active;
    return Math.max(known[at + MEAN]!, waited);
  }

  began(index: number): void {
    this.#advance(index, this.#now());
    this.#known[index * WIDTH + ACTIVE]!++;
  }

  ended(index: number, outcome: Outcome): void {
    const known = this.#known;
    const at = index * WIDTH;
    const now = this.#now();
    this.#advance(index, now);
    if (known[at + ACTIVE]! > 0) known[at + ACTIVE]!--;
    // Who left says nothing of the backend, but the time it spent here is not the next one's.
    const spent = known[at + SPENT]!;
    const sample = outcome === "failed" ? Math.max(FAILED, spent) : spent;
    known[at + SPENT] = 0;
    if (outcome === "aborted") return;
    const last = known[at + MEAN_AT]!;
    const keep = last < 0 ? 0 : Math.exp(-Math.max(1, now - last) / DECAY);
    // However close answers follow each other, each counts for a little.
    const mean = known[at + MEAN]!;
    known[at + MEAN] = last < 0 ? sample : mean + (sample - mean) * Math.max(1 - keep, 1 / 64);
    known[at + MEAN_AT] = now;
  }

  #advance(index: number, now: number): void {
    const known = this.#known;
    const at = index * WIDTH;
    known[at + SPENT]! += known[at + ACTIVE]! * (now - known[at + AT]!);
    known[at + AT] = now;
  }
}
