import {
  type CellRange,
  COUNT_CELLS,
  type CounterName,
  type Counts,
  counterIndex,
  counterNames,
} from "../core/counters.ts";
import type { ServiceCells } from "../core/method.ts";

const ACTIVE = counterIndex.active;
const QUEUED = counterIndex.queued;

/** How many cells a range takes. */
export const cellsOf = (backends: number): number => (backends + 1) * COUNT_CELLS;

/** The last cell of row 0: the highest row that a living worker writes. Rows beyond it have no gauges. */
export const rowsInUse = (cells: Float64Array, rowCells: number): Float64Array =>
  cells.subarray(rowCells - 1, rowCells);

class MappedCells implements ServiceCells {
  readonly #own: Float64Array;
  readonly #all: readonly Float64Array[];
  readonly #inUse: Float64Array;
  readonly #base: number;
  readonly #backends: number;

  constructor(range: CellRange, own: Float64Array, all: readonly Float64Array[], inUse: Float64Array) {
    this.#inUse = inUse;
    this.#own = own;
    this.#all = all;
    this.#base = range.base;
    this.#backends = range.backends;
  }

  add(backend: number, counter: number, amount: number): void {
    // A backend beyond the layout has no cells: better uncounted than counted on another service.
    if (backend >= this.#backends) return;
    this.#own[this.#base + (backend + 1) * COUNT_CELLS + counter]! += amount;
  }

  activeEverywhere(backend: number): number {
    if (backend >= this.#backends) return 0;
    return this.#everywhere(this.#base + (backend + 1) * COUNT_CELLS + ACTIVE);
  }

  queuedEverywhere(): number {
    return this.#everywhere(this.#base + QUEUED);
  }

  #everywhere(cell: number): number {
    // A row that nobody uses would cost a miss of the cache for each backend that is looked at.
    const rows = this.#inUse[0]!;
    let sum = 0;
    for (let i = 0; i < rows; i++) sum += this.#all[i]![cell]!;
    return Math.max(sum, 0);
  }
}

/**
 * One service's cells in one worker.
 * @param own the memory that this worker alone writes
 * @param all the memories of all workers with the same layout, own included
 * @param inUse one cell, read at each call: how many of them, from the first, have a worker
 */
export const serviceCells = (
  range: CellRange,
  own: Float64Array,
  all: readonly Float64Array[],
  inUse: Float64Array,
): ServiceCells => new MappedCells(range, own, all, inUse);

const nothingKnown = Object.fromEntries(counterNames.map((name) => [name, null])) as Counts;

/** Counts where a method cannot know any. */
export const unknownCounts = (): Counts => ({ ...nothingKnown });

/** Raw values (by `counterIndex`) as counts; null for what `knows` does not name. */
export function toCounts(values: ArrayLike<number>, knows: readonly CounterName[]): Counts {
  const counts = unknownCounts();
  for (const name of knows) counts[name] = values[counterIndex[name]]!;
  return counts;
}
