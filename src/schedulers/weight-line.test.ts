import { expect, test } from "bun:test";
import fc from "fast-check";
import { WeightLine } from "./weight-line.ts";

const weightLists = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 400 }),
  fc.array(fc.constantFrom(1, 65_535), { minLength: 1, maxLength: 50 }),
  fc.nat(400).map((more) => new Array<number>(1 + more).fill(1)),
);
const units = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

/** The stretch that holds the point, found by walking along the line. */
function walked(weights: readonly number[], point: number): number {
  let end = 0;
  const index = weights.findIndex((weight) => {
    end += weight;
    return end > point;
  });
  return index < 0 ? weights.length - 1 : index;
}

test("a draw is the stretch that holds its point, at the ends of stretches too", () => {
  fc.assert(
    fc.property(weightLists, units, fc.nat(400), (weights, unit, at) => {
      const line = new WeightLine(weights);
      expect(line.draw(unit)).toBe(walked(weights, unit * line.total));
      const edge = weights.slice(0, at % weights.length).reduce((a, b) => a + b, 0) / line.total;
      expect(line.draw(edge)).toBe(walked(weights, edge * line.total));
    }),
    { numRuns: 500 },
  );
});

test("another one is drawn from the line without the excepted stretch", () => {
  fc.assert(
    fc.property(weightLists, units, fc.nat(399), (weights, unit, given) => {
      if (weights.length < 2) return;
      const except = given % weights.length;
      const index = new WeightLine(weights).drawOther(unit, except);
      const others = weights.filter((_, i) => i !== except);
      const expected = walked(others, unit * others.reduce((a, b) => a + b, 0));
      expect(index).toBe(expected < except ? expected : expected + 1);
    }),
    { numRuns: 500 },
  );
});
