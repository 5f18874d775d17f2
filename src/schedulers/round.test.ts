import { expect, test } from "bun:test";
import fc from "fast-check";
import { fillRound } from "./round.ts";

const round = (weights: readonly number[], length: number): number[] => {
  const out = new Uint16Array(length);
  return [...out.subarray(0, fillRound(weights, out))];
};

test("weights that fit are exact, and nobody's turns come in a burst", () => {
  expect(round([10, 2, 2], 16)).toEqual([0, 0, 0, 1, 2, 0, 0]);
  expect(round([3, 3, 3], 16)).toEqual([0, 1, 2]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 30 }), (weights) => {
      const turns = round(weights, 1024);
      const ideal = turns.length / weights.reduce((a, b) => a + b);
      weights.forEach((weight, index) => {
        const mine = turns.flatMap((who, at) => (who === index ? [at] : []));
        expect(mine).toHaveLength(weight * ideal);
        // Within one round-about of everybody of where an even spread would put it.
        mine.forEach((at, k) => {
          expect(Math.abs(at - ((k + 0.5) * turns.length) / mine.length)).toBeLessThan(weights.length + 1);
        });
      });
    }),
  );
});

test("weights that do not fit are kept to a part of the round, and everybody has a turn", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 400 }), (weights) => {
      const turns = round(weights, 4096);
      expect(turns.length).toBeLessThanOrEqual(4096);
      const sum = weights.reduce((a, b) => a + b);
      weights.forEach((weight, index) => {
        const share = turns.filter((who) => who === index).length / turns.length;
        expect(share).toBeGreaterThan(0);
        expect(Math.abs(share - weight / sum)).toBeLessThan((weights.length + 1) / 2000);
      });
    }),
    { numRuns: 30 },
  );
  expect(round(new Array(4096).fill(9), 4096)).toHaveLength(4096);
});
