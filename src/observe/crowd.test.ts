import { expect, test } from "bun:test";
import fc from "fast-check";
import { CROWD_CELLS, clearCrowd, crowdOf, SharedCrowd } from "./crowd.ts";

/** Workers over rows of one memory; the row behind theirs has none. */
function workers(count: number): { crowds: SharedCrowd[]; rows: Float64Array[] } {
  const rows = Array.from({ length: count + 1 }, () => new Float64Array(CROWD_CELLS + 1));
  const inUse = new Float64Array([count]);
  return { crowds: rows.slice(0, count).map((row) => new SharedCrowd(row, rows, inUse, 3)), rows };
}

test("what all workers hold is counted together; what a dead one held is not", () => {
  const { crowds, rows } = workers(3);
  const [a, b, c] = crowds as [SharedCrowd, SharedCrowd, SharedCrowd];
  const key = a.keyOf("listener 192.0.2.1:80/tcp");
  expect(b.keyOf("listener 192.0.2.1:80/tcp")).toBe(key);
  expect([a.enter(key), b.enter(key), b.enter(key), c.enter(key)]).toEqual([1, 2, 3, 4]);
  expect(a.enter(a.keyOf("another"))).toBe(1);
  clearCrowd(crowdOf(rows[1]!));
  expect(a.enter(key)).toBe(3);
  a.leave(key);
  a.leave(key);
  expect(c.enter(key)).toBe(2);
});

test("a row that has counted nothing is not written to when its worker is gone", () => {
  const row = new Float64Array(CROWD_CELLS + 1);
  row[5] = 1;
  clearCrowd(crowdOf(row));
  expect(row[5]).toBe(1);
});

test("any history of many names: as many as a plain count has, though places are given away and buckets overflow", () => {
  const { crowds } = workers(2);
  const [crowd] = crowds as [SharedCrowd, SharedCrowd];
  // Names of one bucket, more than have room in it, and some of others.
  const names = Array.from({ length: 400_000 }, (_, i) => `name ${i}`);
  const keys = names.map((name) => crowd.keyOf(name)).filter((key) => key % 4096 === 7 || key % 40_961 === 0);
  expect(keys.filter((key) => key % 4096 === 7).length).toBeGreaterThan(40);
  fc.assert(
    fc.property(
      fc.array(fc.record({ who: fc.nat(1), key: fc.constantFrom(...keys), leaves: fc.boolean() })),
      (steps) => {
        const held: [number, number][] = [];
        const count = (key: number): number => held.filter(([, k]) => k === key).length;
        for (const { who, key, leaves } of steps) {
          const at = leaves ? held.findIndex(([w, k]) => w === who && k === key) : -1;
          if (at >= 0) {
            held.splice(at, 1);
            crowds[who]!.leave(key);
          } else {
            held.push([who, key]);
            // What found no place is known to its own worker alone: never more than there are, never fewer than its own.
            const seen = crowds[who]!.enter(key);
            expect(seen).toBeLessThanOrEqual(count(key));
            expect(seen).toBeGreaterThanOrEqual(held.filter(([w, k]) => w === who && k === key).length);
            if (held.length <= 16) expect(seen).toBe(count(key));
          }
        }
        for (const [who, key] of held) crowds[who]!.leave(key);
        for (const key of keys) {
          expect(crowds[0]!.enter(key)).toBe(1);
          crowds[0]!.leave(key);
        }
      },
    ),
    { numRuns: 300 },
  );
});
