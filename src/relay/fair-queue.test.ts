import { expect, test } from "bun:test";
import fc from "fast-check";
import { FairQueue } from "./fair-queue.ts";

test("keys take turns; what has one key stays in order", () => {
  const queue = new FairQueue<string>();
  for (const item of ["a1", "a2", "a3"]) queue.push(1, item);
  queue.push(2, "b1");
  expect([queue.shift(), queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual([
    "a1",
    "b1",
    "a2",
    "a3",
    undefined,
  ]);
});

test("any history: nothing is lost or doubled, order per key holds, and nobody waits longer than one round", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("push" as const), key: fc.nat(3) }),
    fc.record({ kind: fc.constant("shift" as const), key: fc.constant(0) }),
    fc.record({ kind: fc.constant("remove" as const), key: fc.nat(3) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new FairQueue<[key: number, n: number]>();
      const model: [number, number][] = [];
      const waited = new Map<number, number>();
      for (const [n, { kind, key }] of steps.entries()) {
        if (kind === "push") {
          const item: [number, number] = [key, n];
          queue.push(key, item);
          model.push(item);
          if (!waited.has(key)) waited.set(key, 0);
        } else if (kind === "remove") {
          const at = model.findIndex(([k]) => k === key);
          if (at < 0) continue;
          const [item] = model.splice(at, 1);
          expect(queue.remove(key, item!)).toBe(true);
          expect(queue.remove(key, item!)).toBe(false);
          if (!model.some(([k]) => k === key)) waited.delete(key);
        } else {
          const first = queue.first();
          const item = queue.shift();
          expect(item).toBe(first);
          if (item === undefined) continue;
          expect(model.find(([k]) => k === item[0])).toBe(item);
          model.splice(model.indexOf(item), 1);
          waited.delete(item[0]);
          for (const [k, rounds] of waited) waited.set(k, rounds + 1);
          if (model.some(([k]) => k === item[0])) waited.set(item[0], 0);
          for (const rounds of waited.values()) expect(rounds).toBeLessThanOrEqual(3);
        }
        expect(queue.size).toBe(model.length);
      }
    }),
  );
});
