import { expect, test } from "bun:test";
import { COUNT_CELLS, counterIndex } from "../core/counters.ts";
import { rowsInUse, serviceCells } from "../observe/cells.ts";
import { mapSharedMemory } from "../runtime/memory.ts";
import { CounterMemory } from "./memory.ts";

const mapped = new WeakMap<CounterMemory, Float64Array>();

/** The cells as a worker of this row would open them. */
function worker(memory: CounterMemory, row: number, service: string, highest: number) {
  const { rows, rowCells } = memory.describe(row);
  const cells = mapped.get(memory) ?? mapSharedMemory(memory.fd, rows * rowCells).cells;
  mapped.set(memory, cells);
  const all = Array.from({ length: rows }, (_, i) => cells.subarray(i * rowCells, (i + 1) * rowCells));
  return serviceCells(memory.range(service, highest)!, all[row]!, all.slice(1), rowsInUse(cells, rowCells));
}

test("counts are summed over workers, living and dead; gauges die with their worker", () => {
  const memory = new CounterMemory("test", 2);
  const [one, two] = [memory.takeRow(), memory.takeRow()];
  const a = worker(memory, one, "web", 3);
  const b = worker(memory, two, "web", 3);
  a.add(2, counterIndex.requests, 5);
  a.add(2, counterIndex.active, 1);
  b.add(2, counterIndex.requests, 7);
  b.add(2, counterIndex.active, 2);
  expect(a.activeEverywhere(2)).toBe(3);
  expect(memory.counts("web", 2, ["requests", "active"])).toMatchObject({ requests: 12, active: 3, errors: null });
  memory.retireRow(one);
  expect(memory.counts("web", 2, ["requests", "active"])).toMatchObject({ requests: 12, active: 2 });
  expect(memory.takeRow()).toBe(one);
  expect(b.activeEverywhere(2)).toBe(2);
});

test("only rows up to the highest living worker are read for gauges", () => {
  const memory = new CounterMemory("test", 4);
  const [one, two, three] = [memory.takeRow(), memory.takeRow(), memory.takeRow()];
  const { cells } = mapSharedMemory(memory.fd, memory.describe(one).rows * memory.describe(one).rowCells);
  const inUse = rowsInUse(cells, memory.describe(one).rowCells);
  expect(inUse[0]).toBe(3);
  const a = worker(memory, one, "web", 3);
  worker(memory, three, "web", 3).add(1, counterIndex.active, 4);
  expect(a.activeEverywhere(1)).toBe(4);
  memory.retireRow(two);
  expect(inUse[0]).toBe(3);
  expect(a.activeEverywhere(1)).toBe(4);
  memory.retireRow(three);
  expect(inUse[0]).toBe(1);
  expect(a.activeEverywhere(1)).toBe(0);
  expect(memory.takeRow()).toBe(two);
  expect(inUse[0]).toBe(2);
});

test("a service that outgrows its range keeps what it has counted", () => {
  const memory = new CounterMemory("test", 1);
  const cells = worker(memory, memory.takeRow(), "web", 0);
  cells.add(-1, counterIndex.requests, 3);
  const before = memory.range("web", 0)!;
  const other = memory.range("shop", 5)!;
  const after = memory.range("web", before.backends + 10)!;
  expect(after.base).toBe(other.base + (other.backends + 1) * COUNT_CELLS);
  expect(memory.counts("web", -1, ["requests"]).requests).toBe(3);
  expect(memory.counts("shop", -1, ["requests"]).requests).toBe(0);
});

const requestsOf = (memory: CounterMemory, service: string): number | null =>
  memory.counts(service, 0, ["requests"]).requests;

test("services that come and go for ever find room; what living workers write stays, and no count goes to another service", () => {
  const memory = new CounterMemory("test", 3);
  const [web, old] = [memory.range("web", 0)!, memory.range("old", 0)!];
  const [serving, draining] = [memory.takeRow([web]), memory.takeRow([old])];
  worker(memory, serving, "web", 0).add(0, counterIndex.requests, 7);
  const leaver = worker(memory, draining, "old", 0);
  leaver.add(0, counterIndex.requests, 5);
  for (let revision = 0; revision < 12; revision++) {
    const names = Array.from({ length: 1000 }, (_, i) => `job ${revision}-${i}`);
    const ranges = [web];
    for (const [i, name] of names.entries()) ranges.push(memory.range(name, i % 50, ranges)!);
    const row = memory.takeRow(ranges);
    expect(names.filter((name) => requestsOf(memory, name) !== 0)).toEqual([]);
    for (const name of names) worker(memory, row, name, 0).add(0, counterIndex.requests, 1);
    memory.retireRow(row);
    expect(names.filter((name) => requestsOf(memory, name) !== 1)).toEqual([]);
  }
  leaver.add(0, counterIndex.requests, 1);
  expect([requestsOf(memory, "web"), requestsOf(memory, "old")]).toEqual([7, 6]);
  expect([memory.range("web", 0), memory.range("old", 0)]).toEqual([web, old]);
  memory.retireRow(draining);
  memory.retireRow(serving);
  expect([requestsOf(memory, "web"), requestsOf(memory, "old")]).toEqual([7, 6]);
  // Its workers are gone: the next ones need its cells.
  for (let i = 0; i < 10_000; i++) memory.range(`more ${i}`, 0, [web]);
  expect([requestsOf(memory, "web"), requestsOf(memory, "old"), requestsOf(memory, "job 11-0")]).toEqual([7, 0, 0]);
});

test("where all are kept the next finds no room, and those that are there stay", () => {
  const memory = new CounterMemory("test", 1);
  const kept = [];
  for (let range = memory.range("0", 0); range; range = memory.range(String(kept.length), 0, kept)) kept.push(range);
  expect(kept.length).toBeGreaterThan(7000);
  expect(memory.range("0", 1000, kept)).toBe(null);
  expect(memory.range("0", 0, kept)).toBe(kept[0]!);
  const gone = kept.splice(10, 2);
  expect(memory.range("next", 0, kept)!.base).toBe(gone[0]!.base);
  expect(memory.range("wider", 17, kept)).toBe(null);
});
