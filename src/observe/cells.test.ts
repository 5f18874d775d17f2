import { expect, test } from "bun:test";
import { COUNT_CELLS, counterIndex, counterNames } from "../core/counters.ts";
import { cellsOf, serviceCells, toCounts, unknownCounts } from "./cells.ts";

const { requests, active, queued } = counterIndex;
const range = { service: "b", base: cellsOf(3), backends: 2 };
const CELLS = cellsOf(3) + cellsOf(2);

test("a cell lies where the contract says", () => {
  const view = new Float64Array(CELLS);
  const own = serviceCells(range, view, [view], new Float64Array([1]));
  own.add(1, requests, 5);
  own.add(-1, active, 1);
  own.add(2, requests, 1); // no cell: not counted anywhere
  expect(view[range.base + 2 * COUNT_CELLS + requests]).toBe(5);
  expect(view[range.base + active]).toBe(1);
  expect(view.reduce((a, b) => a + b)).toBe(6);
});

test("what is active and what is queued is summed over all workers and never negative", () => {
  const views = [new Float64Array(CELLS), new Float64Array(CELLS)];
  const workers = views.map((view) => serviceCells(range, view, views, new Float64Array([2])));
  workers[0]!.add(1, active, 3);
  workers[1]!.add(1, active, 4);
  expect(workers[0]!.activeEverywhere(1)).toBe(7);
  expect(workers[1]!.activeEverywhere(9)).toBe(0);
  for (const [i, worker] of workers.entries()) worker.add(-1, queued, i + 1);
  expect(workers[0]!.queuedEverywhere()).toBe(3);
  workers[1]!.add(0, active, -1);
  expect(workers[1]!.activeEverywhere(0)).toBe(0);
});

test("what a method does not know is null, never 0", () => {
  const values = new Float64Array(counterNames.length).fill(7);
  expect(toCounts(values, ["requests"])).toEqual({ ...unknownCounts(), requests: 7 });
  expect(Object.values(unknownCounts()).every((value) => value === null)).toBe(true);
});
