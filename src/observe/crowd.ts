import { hashText, mix32 } from "../core/hash.ts";
import type { Crowd } from "../core/method.ts";

/** Places of a row for keys that are counted at the moment, and of one bucket: a key lies in the bucket of its hash. */
const PLACES = 1 << 16;
const BUCKET = 16;
/** Each place is a key and its count; before them stands one cell: has this row ever counted anything? */
export const CROWD_CELLS = 1 + 2 * PLACES;

/** Where the crowd of a worker lies in its row: at the end, before the row's last cell. */
export const crowdOf = (row: Float64Array): Float64Array => row.subarray(row.length - 1 - CROWD_CELLS, row.length - 1);

/** A worker is gone, and with it all that it held. */
export function clearCrowd(cells: Float64Array): void {
  // Cells that nobody has written have no memory yet.
  if (cells[0] !== 0) cells.fill(0);
}

/**
 * How many of a kind all workers hold together: each writes its own row and reads all. A key that was counted down to none
 * gives its place away; where a bucket is full, more are counted in this worker alone.
 */
export class SharedCrowd implements Crowd {
  readonly #own: Float64Array;
  readonly #all: readonly Float64Array[];
  readonly #inUse: Float64Array;
  readonly #seed: number;
  /** Those that found no place. */
  readonly #apart = new Map<number, number>();

  /**
   * @param own the row that this worker alone writes
   * @param all all rows, own included
   * @param inUse one cell, read at each call: how many of them, from the first, have a worker
   * @param seed secret, and the same in all workers: who can choose names must not choose their places
   */
  constructor(own: Float64Array, all: readonly Float64Array[], inUse: Float64Array, seed: number) {
    this.#own = crowdOf(own);
    this.#all = all.map(crowdOf);
    this.#inUse = inUse;
    this.#seed = seed;
  }

  /** 52 bits of it, never 0. */
  keyOf(name: string): number {
    const high = hashText(name, this.#seed);
    return high * 2 ** 20 + (hashText(name, mix32(this.#seed ^ high)) >>> 12) + 1;
  }

  enter(key: number): number {
    const own = this.#own;
    own[0] = 1;
    const place = this.#placeFor(key);
    if (place < 0) this.#apart.set(key, (this.#apart.get(key) ?? 0) + 1);
    else {
      own[place] = key;
      own[place + 1]! += 1;
    }
    return this.#count(key);
  }

  leave(key: number): void {
    const apart = this.#apart.get(key);
    if (apart !== undefined) {
      if (apart === 1) this.#apart.delete(key);
      else this.#apart.set(key, apart - 1);
      return;
    }
    const place = find(this.#own, key);
    if (place >= 0) this.#own[place + 1]! -= 1;
  }

  #count(key: number): number {
    let sum = this.#apart.get(key) ?? 0;
    const rows = this.#inUse[0]!;
    for (let i = 0; i < rows; i++) {
      const place = find(this.#all[i]!, key);
      if (place >= 0) sum += this.#all[i]![place + 1]!;
    }
    return sum;
  }

  /** Where this key is counted, or may be; -1: its bucket is full. */
  #placeFor(key: number): number {
    const own = this.#own;
    const from = bucketOf(key);
    let free = -1;
    for (let place = from; place < from + 2 * BUCKET; place += 2) {
      if (own[place] === key) return place;
      if (free < 0 && own[place + 1] === 0) free = place;
    }
    return free;
  }
}

/** A crowd of one worker. */
export function lonelyCrowd(): SharedCrowd {
  const row = new Float64Array(CROWD_CELLS + 1);
  return new SharedCrowd(row, [row], new Float64Array([1]), 7);
}

/** The first place of a key's bucket. */
const bucketOf = (key: number): number => 1 + (key % (PLACES / BUCKET)) * BUCKET * 2;

/** Where a row counts a key; -1: it does not. */
function find(row: Float64Array, key: number): number {
  const from = bucketOf(key);
  for (let place = from; place < from + 2 * BUCKET; place += 2) if (row[place] === key) return place;
  return -1;
}
