import type { EligibleSet } from "../core/scheduler.ts";
import { formerIndices } from "./carry.ts";

/** Credits beyond this, on either side, are brought back around zero before their numbers become too coarse. */
const FAR = 2 ** 40;

/** All of one weight. They earn alike, so that their order by credit stays: a ring, the richest at `first`. */
interface Group {
  readonly weight: number;
  readonly ring: Int32Array;
  first: number;
  /** What each of them has earned; added to its `#own`. */
  earned: number;
}

/**
 * Smooth weighted turns (nginx, commit 52327e0627f4, 2012): at each turn every backend earns its weight, and the richest
 * has the turn and pays what all have earned together. `a5 b1 c1` gives a a b a c a a, never a burst. A turn costs
 * O(different weights), however many backends there are. Allocates nothing.
 */
export class SmoothCredit {
  readonly set: EligibleSet;
  /** By index: its credit, less what its group has earned. */
  readonly #own: Float64Array;
  readonly #groups: Group[];
  /** By index: the group it is in. */
  readonly #groupOf: Uint16Array;
  readonly #total: number;
  #front: Group | null = null;
  /** Credits as they were marked, in the order of the rings, and who had them. */
  #marked: Float64Array | null = null;
  #markedRings: Int32Array | null = null;

  /** Workers that start together must not go in step: with `random` each begins elsewhere in the cycle. */
  constructor(set: EligibleSet, random: () => number, before?: SmoothCredit) {
    const { weights } = set;
    this.set = set;
    this.#total = total(set);
    const former = before ? formerIndices(set, before.set) : undefined;
    const scale = before ? this.#total / Math.max(1, before.#total) : 1;
    const level = before ? before.#level() : 0;
    this.#own = Float64Array.from(weights, (weight, index) => {
      if (!before) return Math.floor(random() * weight);
      const old = former![index]!;
      return old < 0 ? 0 : Math.round((before.of(old) - level) * scale);
    });
    const places = before ? before.#places() : null;
    const shift = before ? 0 : Math.floor(random() * weights.length);
    const place = (index: number): number =>
      before ? (places![former![index]!] ?? weights.length) : (index - shift + weights.length) % weights.length;
    const members = Map.groupBy(weights.keys(), (index) => weights[index]!);
    this.#groups = [...members].map(([weight, indices]) => ({
      weight,
      ring: Int32Array.from(indices.sort((a, b) => this.#own[b]! - this.#own[a]! || place(a) - place(b))),
      first: 0,
      earned: 0,
    }));
    this.#groupOf = new Uint16Array(weights.length);
    this.#groups.forEach(({ ring }, group) => {
      for (const index of ring) this.#groupOf[index] = group;
    });
  }

  /** The credit of an index. */
  of(index: number): number {
    return this.#own[index]! + this.#groups[this.#groupOf[index]!]!.earned;
  }

  /** A turn begins: all earn. */
  earn(): void {
    for (let i = 0; i < this.#groups.length; i++) this.#groups[i]!.earned += this.#groups[i]!.weight;
  }

  /** Whose turn it is: the richest, of equal ones the lower index where their weights differ; -1 for an empty set. */
  first(): number {
    let best = -1;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < this.#groups.length; i++) {
      const group = this.#groups[i]!;
      const index = group.ring[group.first]!;
      const credit = this.#own[index]! + group.earned;
      if (credit < most || (credit === most && index > best)) continue;
      best = index;
      most = credit;
      this.#front = group;
    }
    return best;
  }

  /** The one that `first` has named pays for its turn, whether it takes it or not. */
  pay(): void {
    const group = this.#front!;
    const { ring } = group;
    const own = this.#own;
    let at = group.first;
    const index = ring[at]!;
    own[index]! -= this.#total;
    group.first = at + 1 < ring.length ? at + 1 : 0;
    // To the end; before those that are still poorer.
    while (at !== group.first) {
      const before = at > 0 ? at - 1 : ring.length - 1;
      if (own[ring[before]!]! >= own[index]!) break;
      ring[at] = ring[before]!;
      at = before;
    }
    ring[at] = index;
    if (group.earned > FAR || own[index]! < -FAR) this.#rebase();
  }

  /** Remembers the present credits. */
  mark(): void {
    this.#marked ??= new Float64Array(this.#own.length);
    this.#markedRings ??= new Int32Array(this.#own.length);
    let place = 0;
    for (const { ring, first } of this.#groups)
      for (let i = 0; i < ring.length; i++, place++) {
        const index = ring[(first + i) % ring.length]!;
        this.#markedRings[place] = index;
        this.#marked[place] = this.of(index);
      }
  }

  /** Are they as they were marked? Then all that came since comes again. */
  returned(): boolean {
    let place = 0;
    for (const { ring, first } of this.#groups)
      for (let i = 0; i < ring.length; i++, place++) {
        const index = ring[(first + i) % ring.length]!;
        if (this.#markedRings?.[place] !== index || this.#marked![place] !== this.of(index)) return false;
      }
    return true;
  }

  #rebase(): void {
    const level = this.#level();
    for (const group of this.#groups) {
      for (const index of group.ring) this.#own[index]! += group.earned - level;
      group.earned = 0;
    }
  }

  /** The mean credit, whole. */
  #level(): number {
    let sum = 0;
    for (const { ring, earned } of this.#groups) for (const index of ring) sum += this.#own[index]! + earned;
    return Math.round(sum / Math.max(1, this.#own.length));
  }

  /** By index: its place in its ring. */
  #places(): Int32Array {
    const places = new Int32Array(this.#own.length);
    for (const { ring, first } of this.#groups)
      for (let i = 0; i < ring.length; i++) places[ring[(first + i) % ring.length]!] = i;
    return places;
  }
}

const total = (set: EligibleSet): number => set.weights.reduce((sum, weight) => sum + weight, 0);
