import type { Tried } from "../core/scheduler.ts";

/** Draws indices at random in proportion to their weights: the weights laid end to end on one line. Allocates nothing. */
export class WeightLine {
  readonly #weights: readonly number[];
  /** `#ends[i]`: sum of the weights up to and with i. Exact: 65,536 backends of weight 65,535 stay below 2^32. */
  readonly #ends: Float64Array;
  readonly total: number;
  /** All weigh one: no table need be read. */
  readonly #ones: boolean;
  /** `#guide[k]`: the index whose stretch holds the begin of the k-th of n equal parts of the line. */
  readonly #guide: Uint32Array;

  constructor(weights: readonly number[]) {
    this.#weights = weights;
    this.#ends = new Float64Array(weights.length);
    let sum = 0;
    for (let i = 0; i < weights.length; i++) this.#ends[i] = sum += weights[i]!;
    this.total = sum;
    this.#ones = weights.every((weight) => weight === 1);
    this.#guide = new Uint32Array(weights.length);
    for (let k = 0, i = 0; k < weights.length; k++) {
      while (this.#ends[i]! <= (k * sum) / weights.length) i++;
      this.#guide[k] = i;
    }
  }

  /** The weight of this index; where all are equal no memory is read. */
  weight(index: number): number {
    return this.#ones ? 1 : this.#weights[index]!;
  }

  /** One index, -1 for no weights. `unit`: 0 <= unit < 1. O(1) in the mean. */
  draw(unit: number): number {
    if (this.total === 0) return -1;
    return this.#ones ? Math.floor(unit * this.total) : this.#at(unit * this.total);
  }

  /** One index other than `except` (an index that is there), -1 when there is no other. O(1) in the mean. */
  drawOther(unit: number, except: number): number {
    if (this.#ends.length < 2) return -1;
    const width = this.weight(except);
    const point = unit * (this.total - width);
    if (this.#ones) return Math.floor(point) + (point < except ? 0 : 1);
    // Jumping over the excepted stretch keeps the others' proportions exact.
    const index = this.#at(point < this.#ends[except]! - width ? point : point + width);
    return index !== except ? index : except > 0 ? except - 1 : 1;
  }

  /** One index that was not tried and is not `except` (-1: no exception); -1 when none is left. O(n): retries are rare. */
  drawUntried(unit: number, tried: Tried, except: number): number {
    let left = 0;
    for (let i = 0; i < this.#weights.length; i++) if (i !== except && !tried.has(i)) left += this.#weights[i]!;
    let point = unit * left;
    let last = -1;
    for (let i = 0; i < this.#weights.length; i++) {
      if (i === except || tried.has(i)) continue;
      last = i;
      point -= this.#weights[i]!;
      if (point < 0) break;
    }
    return last;
  }

  /** The index whose stretch holds `point`, 0 <= point < total; the last one for rounding beyond (Chen and Asau, 1974). */
  #at(point: number): number {
    const ends = this.#ends;
    const last = ends.length - 1;
    let index = this.#guide[Math.min(last, Math.floor((point / this.total) * ends.length))]!;
    while (index < last && ends[index]! <= point) index++;
    while (index > 0 && ends[index - 1]! > point) index--;
    return index;
  }
}
