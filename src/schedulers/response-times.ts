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

const cellOf = (index: number, bin: number): number => (index * BINS + bin) * 2;

/**
 * Places in a backend's brief: when its oldest work under way began (Infinity: none is) and in which bin, how much is under
 * way, and the bin that was heard of last (-1: none ever), when that was, and its mean. With many backends most have one
 * piece of work or none, and all of it lies in one line of the cache; what is known of other bins is met when the bin
 * changes.
 */
const [OLDEST, OLDEST_BIN, COUNT, NEWEST, SINCE, MEAN] = [0, 1, 2, 3, 4, 5];
const BRIEF = 8;
const nothing = [Number.POSITIVE_INFINITY, 0, 0, -1, 0, 0];

/** When the work under way behind the oldest began, and at which load: a ring, the oldest of them first. */
class Later {
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
  /** By backend; null: it never had more than one piece of work under way. */
  readonly #later: (Later | null)[];
  /** By backend, what most looks need. */
  readonly #brief: Float64Array;
  /** By backend and bin, side by side: mean time, and when it was last heard of; of the newest bin the brief knows better. */
  readonly #known: Float64Array;

  constructor(set: EligibleSet, before?: ResponseTimes) {
    const { length } = set.ids;
    this.set = set;
    this.#later = new Array<Later | null>(length).fill(null);
    this.#brief = new Float64Array(length * BRIEF);
    for (let at = 0; at < this.#brief.length; at += BRIEF) this.#brief.set(nothing, at);
    this.#known = new Float64Array(length * BINS * 2);
    for (let at = 1; at < this.#known.length; at += 2) this.#known[at] = Number.NEGATIVE_INFINITY;
    if (before) this.#carry(before);
  }

  /** Work that began before a change of the set still ends here. */
  #carry(before: ResponseTimes): void {
    formerIndices(this.set, before.set).forEach((old, i) => {
      if (old < 0) return;
      this.#later[i] = before.#later[old]!;
      this.#brief.set(before.#brief.subarray(old * BRIEF, (old + 1) * BRIEF), i * BRIEF);
      this.#known.set(before.#known.subarray(cellOf(old, 0), cellOf(old + 1, 0)), cellOf(i, 0));
    });
  }

  /** ms that a unit of work would take which came to this backend at this load; 0 when nothing is known. */
  of(index: number, load: number, now: number): number {
    const brief = this.#brief;
    const at = index * BRIEF;
    const newest = brief[at + NEWEST]!;
    let known = 0;
    if (newest >= 0) {
      const age = now - brief[at + SINCE]!;
      const bin = binOf(load);
      known = brief[at + MEAN]!;
      if (age >= FRESH) known *= Math.exp((FRESH - age) / FADE);
      else if (bin !== newest) known = this.#nearest(index, bin, now);
    }
    // A backend that has stopped ending anything grows slower by the moment.
    return Math.max(known, now - brief[at + OLDEST]!);
  }

  /** The mean at the nearest load that was heard of lately; there is one. */
  #nearest(index: number, bin: number, now: number): number {
    const known = this.#known;
    this.#putBack(index);
    const since = now - FRESH;
    for (let distance = 0; distance < BINS; distance++) {
      const [below, above] = [bin - distance, bin + distance];
      const atBelow = below >= 0 ? known[cellOf(index, below) + 1]! : Number.NEGATIVE_INFINITY;
      const atAbove = above < BINS ? known[cellOf(index, above) + 1]! : Number.NEGATIVE_INFINITY;
      if (atAbove > since && (atBelow <= since || atAbove > atBelow)) return known[cellOf(index, above)]!;
      if (atBelow > since) return known[cellOf(index, below)]!;
    }
    return 0;
  }

  /** `load`: what was under way there before. */
  began(index: number, load: number, now: number): void {
    const brief = this.#brief;
    const at = index * BRIEF;
    const bin = binOf(load);
    if (brief[at + COUNT]!++ > 0) {
      this.#later[index] ??= new Later();
      this.#later[index].push(now, bin);
      return;
    }
    brief[at + OLDEST] = now;
    brief[at + OLDEST_BIN] = bin;
  }

  ended(index: number, outcome: Outcome, now: number): void {
    const brief = this.#brief;
    const at = index * BRIEF;
    // Begun under a set that this backend was not in.
    if (brief[at + COUNT] === 0) return;
    const took = now - brief[at + OLDEST]!;
    const bin = brief[at + OLDEST_BIN]!;
    this.#next(index);
    // Who left says nothing of the backend.
    if (outcome === "aborted") return;
    const sample = outcome === "failed" ? Math.max(FAILED, took) : took;
    if (bin !== brief[at + NEWEST]) this.#turnTo(index, bin);
    const part = Math.max(1 - Math.exp((brief[at + SINCE]! - now) / DECAY), LEAST_PART);
    brief[at + MEAN]! += (sample - brief[at + MEAN]!) * part;
    brief[at + SINCE] = now;
  }

  /** The brief is of this bin now. */
  #turnTo(index: number, bin: number): void {
    const at = index * BRIEF;
    const cell = cellOf(index, bin);
    this.#putBack(index);
    this.#brief[at + NEWEST] = bin;
    this.#brief[at + MEAN] = this.#known[cell]!;
    this.#brief[at + SINCE] = this.#known[cell + 1]!;
  }

  /** Puts what the brief says of its bin beside what is known of the others. */
  #putBack(index: number): void {
    const at = index * BRIEF;
    const newest = this.#brief[at + NEWEST]!;
    if (newest < 0) return;
    const cell = cellOf(index, newest);
    this.#known[cell] = this.#brief[at + MEAN]!;
    this.#known[cell + 1] = this.#brief[at + SINCE]!;
  }

  /** The oldest has ended: the next one is that now. */
  #next(index: number): void {
    const brief = this.#brief;
    const at = index * BRIEF;
    if (--brief[at + COUNT]! === 0) {
      brief[at + OLDEST] = Number.POSITIVE_INFINITY;
      return;
    }
    const later = this.#later[index]!;
    brief[at + OLDEST] = later.times[later.first]!;
    brief[at + OLDEST_BIN] = later.bins[later.first]!;
    later.shift();
  }
}
