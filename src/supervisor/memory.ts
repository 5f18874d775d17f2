import {
  type CellRange,
  COUNT_CELLS,
  type CounterName,
  type Counts,
  counterIndex,
  counterNames,
  counters,
} from "../core/counters.ts";
import type { CounterMemory as Described } from "../core/worker-protocol.ts";
import { cellsOf, rowsInUse, toCounts } from "../observe/cells.ts";
import { CROWD_CELLS, clearCrowd, crowdOf } from "../observe/crowd.ts";
import { createSharedMemory, type SharedMemory } from "../runtime/memory.ts";

/** Cells of a row: room for 120,000 backends, and for the crowd. Pages that nobody writes cost nothing. */
const ROW_CELLS = 1 << 21;
/** Those of services and backends. */
const COUNTING_CELLS = ROW_CELLS - 1 - CROWD_CELLS;
/** Backends a service may grow to before it gets a new range, at least. */
const LEAST_BACKENDS = 16;

/** Is it the cell of a count that only grows? */
function grows(cell: number): boolean {
  const name = counterNames[cell % COUNT_CELLS];
  return name !== undefined && counters[name].kind === "counter";
}

/**
 * The counters of all workers: one row each, written by one process, read by all, so that `least-connections` is
 * global and the supervisor reads live counts without asking. Row 0 belongs to the dead: their counters fold into it.
 */
export class CounterMemory {
  readonly #memory: SharedMemory;
  readonly #rows: number;
  readonly #taken = new Set<number>();
  /** One cell: how many rows a reader of gauges has to look at. */
  readonly #inUse: Float64Array;
  readonly #ranges = new Map<string, CellRange>();
  #used = 0;

  /** `rows`: most workers alive at once. */
  constructor(name: string, rows: number) {
    this.#rows = rows + 1;
    this.#memory = createSharedMemory(`sluice-${name}`, this.#rows * ROW_CELLS);
    this.#inUse = rowsInUse(this.#memory.cells, ROW_CELLS);
  }

  get fd(): number {
    return this.#memory.fd;
  }

  /** The lowest that is free, so that few rows are to be read. */
  takeRow(): number {
    let row = 1;
    while (this.#taken.has(row)) row++;
    if (row >= this.#rows) throw new Error("more workers alive than the counter memory has rows");
    this.#taken.add(row);
    this.#inUse[0] = Math.max(...this.#taken);
    return row;
  }

  /** A worker is gone: its counters live on in row 0, its gauges drop to zero. */
  retireRow(row: number): void {
    const { cells } = this.#memory;
    const from = row * ROW_CELLS;
    for (let cell = 0; cell < this.#used; cell++) {
      if (grows(cell)) cells[cell]! += cells[from + cell]!;
      cells[from + cell] = 0;
    }
    clearCrowd(crowdOf(cells.subarray(from, from + ROW_CELLS)));
    this.#taken.delete(row);
    this.#inUse[0] = Math.max(0, ...this.#taken);
  }

  /** Adds to the counts of the dead: what was counted outside the workers. */
  add(service: string, backend: number, counter: CounterName, amount: number): void {
    const range = this.#ranges.get(service);
    if (range === undefined || backend >= range.backends) return;
    this.#memory.cells[range.base + (backend + 1) * COUNT_CELLS + counterIndex[counter]]! += amount;
  }

  /** Where the cells of a service lie; stays put while its backend ids fit. */
  range(service: string, highestId: number): CellRange {
    const held = this.#ranges.get(service);
    if (held && highestId < held.backends) return held;
    const backends = Math.max(LEAST_BACKENDS, (highestId + 1) * 2);
    const range = { service, base: this.#used, backends };
    if (this.#used + cellsOf(backends) > COUNTING_CELLS) throw new Error("the counter memory is full");
    this.#used += cellsOf(backends);
    if (held) this.#carry(held, range);
    this.#ranges.set(service, range);
    return range;
  }

  /** Moves what a service has counted so far into its new range, as counts of the dead. */
  #carry(from: CellRange, to: CellRange): void {
    const { cells } = this.#memory;
    for (let cell = 0; cell < cellsOf(from.backends); cell++) {
      if (!grows(cell)) continue;
      for (let row = 0; row <= this.#inUse[0]!; row++)
        cells[to.base + cell]! += cells[row * ROW_CELLS + from.base + cell]!;
    }
  }

  /** Sums over all workers; `backend` -1 is the service. What is not in `known` is null. */
  counts(service: string, backend: number, known: readonly CounterName[]): Counts {
    const range = this.#ranges.get(service);
    const sums = new Float64Array(counterNames.length);
    if (range && backend < range.backends) {
      const first = range.base + (backend + 1) * COUNT_CELLS;
      // A page that nobody has written is made when it is read: rows without a worker are left alone.
      for (let row = 0; row <= this.#inUse[0]!; row++)
        for (const name of known) {
          const i = counterIndex[name];
          sums[i]! += this.#memory.cells[row * ROW_CELLS + first + i]!;
        }
    }
    return toCounts(sums, known);
  }

  describe(row: number): Described {
    return { rows: this.#rows, rowCells: ROW_CELLS, row };
  }
}
