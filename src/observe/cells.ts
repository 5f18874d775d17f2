import {
  type CellRange,
  type CounterName,
  type Counts,
  counterIndex,
  counterNames,
  counters,
} from "../core/counters.ts";
import type { ServiceCells } from "../core/method.ts";

const WIDTH = counterNames.length;
const ACTIVE = counterIndex.active;

/** How many cells a range takes. */
export const cellsOf = (backends: number): number => (backends + 1) * WIDTH;

/**
 * Lays the cells of services one after another.
 * @param services `backends`: all ids are below this; leave room for those that may come before the next layout
 */
export function layoutCells(services: readonly { service: string; backends: number }[]): {
  ranges: CellRange[];
  cells: number;
} {
  let base = 0;
  const ranges = services.map(({ service, backends }) => {
    const range = { service, base, backends };
    base += cellsOf(backends);
    return range;
  });
  return { ranges, cells: base };
}

class MappedCells implements ServiceCells {
  readonly #own: Float64Array;
  readonly #all: readonly Float64Array[];
  readonly #base: number;
  readonly #backends: number;

  constructor(range: CellRange, own: Float64Array, all: readonly Float64Array[]) {
    this.#own = own;
    this.#all = all;
    this.#base = range.base;
    this.#backends = range.backends;
  }

  add(backend: number, counter: number, amount: number): void {
    // A backend beyond the layout has no cells: better uncounted than counted on another service.
    if (backend >= this.#backends) return;
    this.#own[this.#base + (backend + 1) * WIDTH + counter]! += amount;
  }

  activeEverywhere(backend: number): number {
    if (backend >= this.#backends) return 0;
    const cell = this.#base + (backend + 1) * WIDTH + ACTIVE;
    let sum = 0;
    for (let i = 0; i < this.#all.length; i++) sum += this.#all[i]![cell]!;
    return Math.max(sum, 0);
  }
}

/**
 * One service's cells in one worker.
 * @param own the memory that this worker alone writes
 * @param all the memories of all workers with the same layout, own included; read at each call, so it may grow
 */
export const serviceCells = (range: CellRange, own: Float64Array, all: readonly Float64Array[]): ServiceCells =>
  new MappedCells(range, own, all);

/** Counts where a method cannot know any. */
export const unknownCounts = (): Counts => toCounts(new Float64Array(WIDTH), []);

/** Raw values (by `counterIndex`) as counts; null for what `knows` does not name. */
export const toCounts = (values: ArrayLike<number>, knows: readonly CounterName[]): Counts =>
  Object.fromEntries(counterNames.map((name, i) => [name, knows.includes(name) ? values[i]! : null])) as Counts;

interface Member {
  view: Float64Array;
  ranges: Map<string, CellRange>;
}

/**
 * Sums the counter memories of all workers, living and dead, whatever layout each was born with. Counters never go
 * down: what a dead worker had counted is kept; its gauges go with it.
 */
export class CounterLedger {
  readonly #members = new Map<number, Member>();
  readonly #retired = new Map<string, Map<number, Float64Array>>();

  /** @param worker any number that names it until `retire` */
  add(worker: number, view: Float64Array, ranges: readonly CellRange[]): void {
    this.#members.set(worker, { view, ranges: new Map(ranges.map((range) => [range.service, range])) });
  }

  /** The worker writes no more. Folds what it counted into what is kept. */
  retire(worker: number): void {
    const member = this.#members.get(worker);
    if (!member) return;
    this.#members.delete(worker);
    for (const range of member.ranges.values()) {
      for (let backend = -1; backend < range.backends; backend++) this.#fold(member.view, range, backend);
    }
  }

  /** Raw sums by `counterIndex`; `backend` -1 is the service itself. */
  sum(service: string, backend: number): Float64Array {
    const sums = Float64Array.from(this.#retired.get(service)?.get(backend) ?? new Float64Array(WIDTH));
    for (const { view, ranges } of this.#members.values()) {
      const range = ranges.get(service);
      if (!range || backend >= range.backends) continue;
      const start = range.base + (backend + 1) * WIDTH;
      for (let i = 0; i < WIDTH; i++) sums[i]! += view[start + i]!;
    }
    return sums;
  }

  /** As `sum`, with null for what the method cannot know. */
  counts(service: string, backend: number, knows: readonly CounterName[]): Counts {
    return toCounts(this.sum(service, backend), knows);
  }

  /** What dead workers counted for a backend (without one: for a service) that is gone; its id may be given anew. */
  forget(service: string, backend?: number): void {
    if (backend === undefined) this.#retired.delete(service);
    else this.#retired.get(service)?.delete(backend);
  }

  #fold(view: Float64Array, range: CellRange, backend: number): void {
    const start = range.base + (backend + 1) * WIDTH;
    const values = view.subarray(start, start + WIDTH);
    if (values.every((value) => value === 0)) return;
    const kept = this.#retired.get(range.service) ?? new Map<number, Float64Array>();
    this.#retired.set(range.service, kept);
    const sums = kept.get(backend) ?? new Float64Array(WIDTH);
    kept.set(backend, sums);
    counterNames.forEach((name, i) => {
      if (counters[name].kind === "counter") sums[i]! += values[i]!;
    });
  }
}
