import { expect, test } from "bun:test";
import fc from "fast-check";
import { counterIndex, counterNames } from "../core/counters.ts";
import { CounterLedger, cellsOf, layoutCells, serviceCells } from "./cells.ts";

const { requests, active, connections } = counterIndex;

test("ranges follow each other and do not overlap", () => {
  const { ranges, cells } = layoutCells([
    { service: "a", backends: 3 },
    { service: "b", backends: 0 },
  ]);
  expect(ranges).toEqual([
    { service: "a", base: 0, backends: 3 },
    { service: "b", base: cellsOf(3), backends: 0 },
  ]);
  expect(cells).toBe(cellsOf(3) + counterNames.length);
});

test("a cell lies where the contract says", () => {
  const { ranges, cells } = layoutCells([
    { service: "a", backends: 2 },
    { service: "b", backends: 2 },
  ]);
  const view = new Float64Array(cells);
  const own = serviceCells(ranges[1]!, view, [view]);
  own.add(1, requests, 5);
  own.add(-1, active, 1);
  own.add(2, requests, 1); // no cell: not counted anywhere
  const base = ranges[1]!.base;
  expect(view[base + 2 * counterNames.length + requests]).toBe(5);
  expect(view[base + active]).toBe(1);
  expect(view.reduce((a, b) => a + b)).toBe(6);
});

test("active is summed over all workers", () => {
  const { ranges, cells } = layoutCells([{ service: "a", backends: 2 }]);
  const views = [new Float64Array(cells), new Float64Array(cells)];
  const workers = views.map((view) => serviceCells(ranges[0]!, view, views));
  workers[0]!.add(1, active, 3);
  workers[1]!.add(1, active, 4);
  expect(workers[0]!.activeEverywhere(1)).toBe(7);
  expect(workers[1]!.activeEverywhere(0)).toBe(0);
  expect(workers[1]!.activeEverywhere(9)).toBe(0);
});

test("a dead worker's counters stay and its gauges go", () => {
  const { ranges, cells } = layoutCells([{ service: "a", backends: 2 }]);
  const ledger = new CounterLedger();
  const views = [new Float64Array(cells), new Float64Array(cells)];
  views.forEach((view, i) => {
    ledger.add(i, view, ranges);
    const own = serviceCells(ranges[0]!, view, views);
    own.add(1, requests, 10);
    own.add(1, active, 2);
  });
  expect(ledger.counts("a", 1, ["requests", "active"])).toMatchObject({ requests: 20, active: 4, connections: null });
  ledger.retire(0);
  expect(ledger.counts("a", 1, ["requests", "active"])).toMatchObject({ requests: 20, active: 2 });
  ledger.forget("a", 1);
  expect(ledger.sum("a", 1)[requests]).toBe(10);
  expect(ledger.counts("gone", 1, ["requests"]).requests).toBe(0);
});

test("counters never go down, whatever lives and dies and however cells lie", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(3), fc.constantFrom("start", "count", "die"), fc.integer({ min: 1, max: 9 }))),
      (steps) => {
        const ledger = new CounterLedger();
        const alive = new Map<number, ReturnType<typeof serviceCells>>();
        let expected = 0;
        for (const [worker, step, amount] of steps) {
          if (step === "start" && !alive.has(worker)) {
            // Each is born with a layout of its own.
            const { ranges, cells } = layoutCells([
              { service: "other", backends: amount },
              { service: "a", backends: 4 },
            ]);
            const view = new Float64Array(cells);
            ledger.add(worker, view, ranges);
            alive.set(worker, serviceCells(ranges[1]!, view, [view]));
          } else if (step === "count" && alive.has(worker)) {
            alive.get(worker)!.add(2, connections, amount);
            expected += amount;
          } else if (step === "die" && alive.delete(worker)) ledger.retire(worker);
          expect(ledger.sum("a", 2)[connections]).toBe(expected);
        }
      },
    ),
    { numRuns: 100 },
  );
});
