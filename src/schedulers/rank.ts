/**
 * Ranks indices by a score, lowest first, equal scores by lower index. Made once per set; ranking allocates nothing:
 * a binary heap over the indices, O(n) to build and O(log n) per place that is asked for.
 */
export class Ranking {
  /** One score per index: fill it, then `take`. */
  readonly scores: Float64Array;
  readonly #heap: Uint32Array;

  constructor(size: number) {
    this.scores = new Float64Array(size);
    this.#heap = new Uint32Array(size);
  }

  /** Fills `out` with the best indices, best first; returns how many: the smaller of both lengths. */
  take(out: Uint16Array): number {
    const heap = this.#heap;
    let size = heap.length;
    for (let i = 0; i < size; i++) heap[i] = i;
    for (let i = (size >>> 1) - 1; i >= 0; i--) this.#sink(i, size);
    const count = Math.min(out.length, size);
    for (let place = 0; place < count; place++) {
      out[place] = heap[0]!;
      heap[0] = heap[--size]!;
      this.#sink(0, size);
    }
    return count;
  }

  #sink(start: number, size: number): void {
    const heap = this.#heap;
    const moving = heap[start]!;
    let at = start;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#before(heap[child + 1]!, heap[child]!)) child++;
      if (!this.#before(heap[child]!, moving)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = moving;
  }

  #before(a: number, b: number): boolean {
    const difference = this.scores[a]! - this.scores[b]!;
    return difference < 0 || (difference === 0 && a < b);
  }
}
