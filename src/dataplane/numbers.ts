/** Numbers below a limit, the lowest free one first. */
export class Numbers {
  readonly #taken = new Set<number>();
  readonly #limit: number;
  readonly #first: number;
  #hint: number;

  /** Gives `first` … `limit - 1`. */
  constructor(limit: number, first = 0) {
    this.#limit = limit;
    this.#first = first;
    this.#hint = first;
  }

  /** -1 when all are taken. */
  take(): number {
    for (let n = this.#hint; n < this.#limit; n++) {
      if (this.#taken.has(n)) continue;
      this.#taken.add(n);
      this.#hint = n + 1;
      return n;
    }
    return -1;
  }

  /** The highest that so many calls of `take` would give; -1: of none, or where there are fewer. */
  highest(count: number): number {
    let left = count;
    for (let n = this.#hint; n < this.#limit && left > 0; n++) if (!this.#taken.has(n) && --left === 0) return n;
    return -1;
  }

  /** Marks a number that was found in use. */
  claim(n: number): void {
    this.#taken.add(n);
  }

  free(n: number): void {
    if (this.#taken.delete(n)) this.#hint = Math.max(this.#first, Math.min(this.#hint, n));
  }

  get left(): number {
    return this.#limit - this.#first - this.#taken.size;
  }
}
