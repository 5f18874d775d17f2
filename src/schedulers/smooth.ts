import type { EligibleSet } from "../core/scheduler.ts";
import { formerIndices } from "./carry.ts";

/**
 * The credit behind smooth weighted turns (nginx, commit 52327e0627f4, 2012): at each pick every candidate earns its
 * weight, the richest is picked and pays what all have earned together. `a5 b1 c1` gives a a b a c a a, never a burst.
 */
export class SmoothCredit {
  readonly set: EligibleSet;
  readonly credit: Float64Array;
  #earned = 0;
  #richest = -1;

  /** Workers that start together must not go in step: with `random` each begins elsewhere in the cycle. */
  constructor(set: EligibleSet, random: () => number, before?: SmoothCredit) {
    this.set = set;
    const former = before ? formerIndices(set, before.set) : undefined;
    const scale = before ? total(set) / Math.max(1, total(before.set)) : 1;
    this.credit = Float64Array.from(set.weights, (weight, index) => {
      if (!before) return Math.floor(random() * weight);
      const old = former![index]!;
      return old < 0 ? 0 : Math.round(before.credit[old]! * scale);
    });
  }

  /** A round: `begin`, `offer` to each candidate, `settle`. Returns the richest, -1 without candidates. */
  begin(): void {
    this.#earned = 0;
    this.#richest = -1;
  }

  offer(index: number): void {
    const weight = this.set.weights[index]!;
    const credit = this.credit[index]! + weight;
    this.credit[index] = credit;
    this.#earned += weight;
    if (this.#richest < 0 || credit > this.credit[this.#richest]!) this.#richest = index;
  }

  settle(): number {
    if (this.#richest >= 0) this.credit[this.#richest]! -= this.#earned;
    return this.#richest;
  }
}

const total = (set: EligibleSet): number => set.weights.reduce((sum, weight) => sum + weight, 0);
