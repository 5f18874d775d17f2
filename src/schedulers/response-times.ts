import type { EligibleSet, Outcome } from "../core/scheduler.ts";
import { formerIndices } from "./carry.ts";

/** Loads that are told apart: each up to `EXACT`, then four for each doubling. */
const BINS = 32;
const EXACT = 16;
/** An answer this old weighs 1/e of a new one, ms. */
const DECAY = 300;
/** However close answers follow each other, each counts for at least this part. */
const LEAST_PART = 1 / 32;
/** Times older than this are not believed as they are, ms. */
const FRESH = 300;
/** From there on an old time is taken for less and less, 1/e in so many ms: whoever was slow is tried again. */
const FADE = 1000;
/** What a failed unit of work counts as, ms: a backend that fails fast must not look fast. */
const FAILED = 1000;
const FIRST_ROOM = 64;

const binOf = (load: number): number =>
  load < EXACT ? Math.floor(load) : Math.min(BINS - 1, EXACT + Math.floor(Math.log2(load / EXACT) * 4));

/** When the work under way at one backend began, and at which load: a ring, the oldest first. */
class Begun {
  times = new Float64Array(FIRST_ROOM);
  bins = new Uint8Array(FIRST_ROOM);
  first = 0;
  count = 0;

  push(time: number, bin: number): void {
    if (this.count === this.times.length) this.#grow();
    const at = (this.first + this.count++) & (this.times.length - 1);
    this.times[at] = time;
    this.bins[at] = bin;
  }

  /** Takes the oldest out. */
  shift(): void {
    this.first = (this.first + 1) & (this.times.length - 1);
    this.count--;
  }

  #grow(): void {
    const { length } = this.times;
    const times = new Float64Array(length * 2);
    const bins = new Uint8Array(length * 2);
    for (let i = 0; i < length; i++) {
      times[i] = this.times[(this.first + i) & (length - 1)]!;
      bins[i] = this.bins[(this.first + i) & (length - 1)]!;
    }
    this.times = times;
    this.bins = bins;
    this.first = 0;
  }
}

/**
 * How long each backend takes at each load, seen from beginnings and ends alone. A time belongs to the load that its
 * work met when it came, as in Prequal (NSDI 2024, section 4): a backend that is full shows it in the very estimate for
 * its present load, before slow answers arrive, so that no crowd runs to whoever was fast a moment ago. Which piece of
 * work ends is not told; the oldest is taken for it, which is exact where work keeps its order and in the mean always.
 */
export class ResponseTimes {
  readonly set: EligibleSet;
  readonly #begun: Begun[];
  /** By backend and bin: mean time, and when it was last heard of. */
  readonly #mean: Float64Array;
  readonly #at: Float64Array;
  /** By backend: the bin that was heard of last; -1: none ever. */
  readonly #newest: Int8Array;

  constructor(set: EligibleSet, before?: ResponseTimes) {
    const { length } = set.ids;
    this.set = set;
    this.#begun = Array.from({ length }, () => new Begun());
    this.#mean = new Float64Array(length * BINS);
    this.#at = new Float64Array(length * BINS).fill(Number.NEGATIVE_INFINITY);
    this.#newest = new Int8Array(length).fill(-1);
    if (before) this.#carry(before);
  }

  /** Work that began before a change of the set still ends here. */
  #carry(before: ResponseTimes): void {
    formerIndices(this.set, before.set).forEach((old, i) => {
      if (old < 0) return;
      this.#begun[i] = before.#begun[old]!;
      this.#mean.set(before.#mean.subarray(old * BINS, (old + 1) * BINS), i * BINS);
      this.#at.set(before.#at.subarray(old * BINS, (old + 1) * BINS), i * BINS);
      this.#newest[i] = before.#newest[old]!;
    });
  }

  /** ms that a unit of work would take which came to this backend at this load; 0 when nothing is known. */
  of(index: number, load: number, now: number): number {
    const newest = this.#newest[index]!;
    const begun = this.#begun[index]!;
    let known = 0;
    if (newest >= 0) {
      const age = now - this.#at[index * BINS + newest]!;
      known =
        age < FRESH
          ? this.#nearest(index, binOf(load), now)
          : this.#mean[index * BINS + newest]! * Math.exp((FRESH - age) / FADE);
    }
    // A backend that has stopped ending anything grows slower by the moment.
    return begun.count === 0 ? known : Math.max(known, now - begun.times[begun.first]!);
  }

  /** The mean at the nearest load that was heard of lately; there is one. */
  #nearest(index: number, bin: number, now: number): number {
    const from = index * BINS;
    const fresh = (at: number): boolean => at >= 0 && at < BINS && now - this.#at[from + at]! < FRESH;
    for (let distance = 0; distance < BINS; distance++) {
      const below = fresh(bin - distance);
      const above = fresh(bin + distance);
      if (above && (!below || this.#at[from + bin + distance]! > this.#at[from + bin - distance]!))
        return this.#mean[from + bin + distance]!;
      if (below) return this.#mean[from + bin - distance]!;
    }
    return 0;
  }

  /** `load`: what was under way there before. */
  began(index: number, load: number, now: number): void {
    this.#begun[index]!.push(now, binOf(load));
  }

  ended(index: number, outcome: Outcome, now: number): void {
    const begun = this.#begun[index]!;
    // Begun under a set that this backend was not in.
    if (begun.count === 0) return;
    const took = now - begun.times[begun.first]!;
    const bin = begun.bins[begun.first]!;
    begun.shift();
    // Who left says nothing of the backend.
    if (outcome === "aborted") return;
    const sample = outcome === "failed" ? Math.max(FAILED, took) : took;
    const cell = index * BINS + bin;
    const part = Math.max(1 - Math.exp((this.#at[cell]! - now) / DECAY), LEAST_PART);
    this.#mean[cell]! += (sample - this.#mean[cell]!) * part;
    this.#at[cell] = now;
    this.#newest[index] = bin;
  }
}
