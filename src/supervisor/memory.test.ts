import { expect, test } from "bun:test";
import { COUNT_CELLS, counterIndex } from "../core/counters.ts";
import { rowsInUse, serviceCells } from "../observe/cells.ts";
import { mapSharedMemory } from "../runtime/memory.ts";
import { CounterMemory } from "./memory.ts";

/** The cells as a worker of this row would open them. */
function worker(memory: CounterMemory, row: number, service: string, highest: number) {
  const { rows, rowCells } = memory.describe(row);
  const { cells } = mapSharedMemory(memory.fd, rows * rowCells);
  const all = Array.from({ length: rows }, (_, i) => cells.subarray(i * rowCells, (i + 1) * rowCells));
  return serviceCells(memory.range(service, highest), all[row]!, all.slice(1), rowsInUse(cells, rowCells));
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
  const before = memory.range("web", 0);
  const other = memory.range("shop", 5);
  const after = memory.range("web", before.backends + 10);
  expect(after.base).toBe(other.base + (other.backends + 1) * COUNT_CELLS);
  expect(memory.counts("web", -1, ["requests"]).requests).toBe(3);
  expect(memory.counts("shop", -1, ["requests"]).requests).toBe(0);
});
