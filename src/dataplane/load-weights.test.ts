import { expect, test } from "bun:test";
import fc from "fast-check";
import { LoadWeights, PARTS } from "./load-weights.ts";

const partsOf = (weights: LoadWeights, count: number): number[] =>
  Array.from({ length: count }, (_, id) => weights.partsOf(id));
const report = (loads: readonly (number | null)[]) => loads.map((load, id) => ({ id, load }));

test("a pool that is evenly loaded, or says nothing, is left alone", () => {
  const load = fc.option(fc.constantFrom(0, 0.3, 0.9, 1), { nil: null });
  fc.assert(
    fc.property(fc.array(load, { minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 8 }), (rounds, count) => {
      const weights = new LoadWeights();
      rounds.forEach((one, i) => {
        const changed = weights.follow(report(new Array(count).fill(one)), i * 3000);
        expect(changed).toBe(i === 0);
        expect(partsOf(weights, count)).toEqual(new Array(count).fill(PARTS));
      });
      // All go the same way: none is on its way to another share.
      expect(weights.moving).toBe(false);
    }),
  );
});

test("the busier gets less, slowly and never nothing; who reports nothing counts as the average", () => {
  const weights = new LoadWeights();
  weights.follow(report([0.2, 0.2, null]), 0);
  weights.follow(report([0.2, 1, null]), 1000);
  expect(partsOf(weights, 3)).toEqual([PARTS, PARTS, PARTS]);
  expect(weights.moving).toBe(true);
  const seen: number[] = [];
  for (let at = 4000; at < 120_000; at += 3000)
    if (weights.follow(report([0.2, 1, null]), at)) seen.push(weights.partsOf(1));
  expect(weights.moving).toBe(false);
  // Never up on the way down, and by small steps: many of them.
  expect(seen).toEqual([...seen].sort((a, b) => b - a));
  expect(seen.length).toBeGreaterThan(5);
  // Free parts 0.8, 0.125 and their average: 16, 2.5 and 9.25 sixteenths.
  const [first, second, third] = partsOf(weights, 3);
  expect(first).toBe(PARTS);
  expect(Math.abs(second! - 2.5)).toBeLessThanOrEqual(1);
  expect(Math.abs(third! - 9.25)).toBeLessThanOrEqual(1);
});

test("whatever is reported, everybody keeps 1 to 16 parts, and a report that stays is reached", () => {
  const loads = fc.array(fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: null }), {
    minLength: 3,
    maxLength: 3,
  });
  fc.assert(
    fc.property(fc.array(loads, { minLength: 1, maxLength: 10 }), (rounds) => {
      const weights = new LoadWeights();
      const inBounds = (): void => {
        for (const parts of partsOf(weights, 3)) {
          expect(parts).toBeGreaterThanOrEqual(1);
          expect(parts).toBeLessThanOrEqual(PARTS);
        }
      };
      let at = 0;
      for (const round of rounds) {
        at += 2000;
        weights.follow(report(round), at);
        inBounds();
      }
      for (let i = 1; i <= 60; i++) weights.follow(report(rounds.at(-1)!), at + i * 3000);
      inBounds();
      expect(weights.moving).toBe(false);
      expect(Math.max(...partsOf(weights, 3))).toBeGreaterThanOrEqual(PARTS - 1);
    }),
  );
});

/** A pool that does what it is given: loads after `seconds`, reports every two seconds, work that lasts `lasts` seconds. */
function simulate(capacities: readonly number[], demand: number, lasts: number, seconds: number): number[][] {
  const weights = new LoadWeights();
  const loads = capacities.map((capacity) => demand / capacities.length / capacity);
  const history: number[][] = [];
  for (let at = 0; at < seconds; at++) {
    if (at % 2 === 0) weights.follow(report(loads.map((load) => Math.min(1, load))), at * 1000);
    const parts = partsOf(weights, capacities.length);
    const sum = parts.reduce((a, b) => a + b);
    capacities.forEach((capacity, i) => {
      const given = (demand * parts[i]!) / sum / capacity;
      loads[i]! += (given - loads[i]!) / lasts;
    });
    history.push([...loads]);
  }
  return history;
}

test("an uneven pool comes to rest nearer together than equal weights leave it, with short work and with long", () => {
  for (const lasts of [1, 10, 30]) {
    const history = simulate([1, 1, 3], 3.6, lasts, 600);
    const end = history.at(-1)!;
    // Equal weights: 1.2, 1.2 and 0.4: two are over their capacity.
    expect(Math.max(...end)).toBeLessThan(0.95);
    const tail = history.slice(-120).map((loads) => loads[0]!);
    expect(Math.max(...tail) - Math.min(...tail)).toBeLessThan(0.08);
  }
});
