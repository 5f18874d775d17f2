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

/** Cells that nobody has. */
interface Gap {
  base: number;
  cells: number;
}

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
  /** Rows with a worker, and the ranges that it writes. */
  readonly #taken = new Map<number, readonly CellRange[]>();
  /** One cell: how many rows a reader of gauges has to look at. */
  readonly #inUse: Float64Array;
  /** Where each service counts now. */
  readonly #ranges = new Map<string, CellRange>();
  /** All that were given and not taken back: outgrown ones too, and those of services that are gone. */
  readonly #given = new Set<CellRange>();
  #gaps: Gap[] = [{ base: 0, cells: COUNTING_CELLS }];
  /** Beyond it nobody has ever written. */
  #used = 0;

  /** `name`: of the memory itself, for who looks at it from outside. `rows`: most workers alive at once. */
  constructor(name: string, rows: number) {
    this.#rows = rows + 1;
    this.#memory = createSharedMemory(name, this.#rows * ROW_CELLS);
    this.#inUse = rowsInUse(this.#memory.cells, ROW_CELLS);
  }

  get fd(): number {
    return this.#memory.fd;
  }

  /** The lowest that is free, so that few rows are to be read. Until it is retired its worker may write these ranges. */
  takeRow(writes: readonly CellRange[] = []): number {
    let row = 1;
    while (this.#taken.has(row)) row++;
    if (row >= this.#rows) throw new Error("more workers alive than the counter memory has rows");
    this.#taken.set(row, writes);
    this.#inUse[0] = Math.max(...this.#taken.keys());
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
    this.#inUse[0] = Math.max(0, ...this.#taken.keys());
  }

  /** Adds to the counts of the dead: what was counted outside the workers. */
  add(service: string, backend: number, counter: CounterName, amount: number): void {
    const range = this.#ranges.get(service);
    if (range === undefined || backend >= range.backends) return;
    this.#memory.cells[range.base + (backend + 1) * COUNT_CELLS + counterIndex[counter]]! += amount;
  }

  /**
   * Where the cells of a service lie; stays put while its backend ids fit. Null: there is no room, though what services
   * that are gone have counted was given up. `kept`: what is not gone, beside what the workers of rows write.
   */
  range(service: string, highestId: number, kept: readonly CellRange[] = []): CellRange | null {
    const held = this.#ranges.get(service);
    if (held && highestId < held.backends) return held;
    const backends = Math.max(LEAST_BACKENDS, (highestId + 1) * 2);
    let base = this.#take(cellsOf(backends));
    if (base === null) {
      this.#reclaim(held ? [...kept, held] : kept);
      base = this.#take(cellsOf(backends));
    }
    if (base === null) return null;
    const range = { service, base, backends };
    this.#given.add(range);
    this.#used = Math.max(this.#used, base + cellsOf(backends));
    if (held) this.#carry(held, range);
    this.#ranges.set(service, range);
    return range;
  }

  #take(cells: number): number | null {
    const gap = this.#gaps.find((one) => one.cells >= cells);
    if (!gap) return null;
    const { base } = gap;
    gap.base += cells;
    gap.cells -= cells;
    return base;
  }

  /** Takes back, as zeros, all ranges that no worker writes and that are not kept: a draining one writes still. */
  #reclaim(kept: readonly CellRange[]): void {
    const living = new Set([...kept, ...[...this.#taken.values()].flat()]);
    for (const range of this.#given) {
      if (living.has(range)) continue;
      this.#given.delete(range);
      if (this.#ranges.get(range.service) === range) this.#ranges.delete(range.service);
      // Rows beyond those in use were left as zeros.
      for (let row = 0; row <= this.#inUse[0]!; row++) {
        const from = row * ROW_CELLS + range.base;
        this.#memory.cells.fill(0, from, from + cellsOf(range.backends));
      }
    }
    this.#gaps = [];
    let end = 0;
    for (const { base, backends } of [...this.#given].sort((a, b) => a.base - b.base)) {
      if (base > end) this.#gaps.push({ base: end, cells: base - end });
      end = base + cellsOf(backends);
    }
    this.#gaps.push({ base: end, cells: COUNTING_CELLS - end });
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
