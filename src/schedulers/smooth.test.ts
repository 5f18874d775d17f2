import { expect, test } from "bun:test";
import fc from "fast-check";
import { mix32 } from "../core/hash.ts";
import { type EligibleSet, nothingTried } from "../core/scheduler.ts";
import leastConnections from "./least-connections.ts";
import { SmoothCredit } from "./smooth.ts";

const setOf = (weights: readonly number[]): EligibleSet => ({
  ids: weights.map((_, i) => i + 1),
  names: weights.map((_, i) => `10.0.${i >> 8}.${i & 255}:80`),
  weights,
});

function take(credit: SmoothCredit): number {
  credit.earn();
  const index = credit.first();
  credit.pay();
  return index;
}

/** The rule as nginx has it: a look at all for each turn. */
function plain(weights: readonly number[], turns: number): number[] {
  const credit = weights.map(() => 0);
  const total = weights.reduce((a, b) => a + b);
  return Array.from({ length: turns }, () => {
    let best = 0;
    for (let i = 0; i < weights.length; i++) {
      credit[i]! += weights[i]!;
      if (credit[i]! > credit[best]!) best = i;
    }
    credit[best]! -= total;
    return best;
  });
}

test("turns are those of the plain rule, for any weights", () => {
  const weights = fc.oneof(
    fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 60 }),
    fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 20 }),
  );
  fc.assert(
    fc.property(weights, (given) => {
      const credit = new SmoothCredit(setOf(given), () => 0);
      expect(Array.from({ length: 500 }, () => take(credit))).toEqual(plain(given, 500));
    }),
    { numRuns: 100 },
  );
});

test("a successor over the same set goes on where it was", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 }),
      fc.nat(50),
      (given, done) => {
        const before = new SmoothCredit(setOf(given), () => 0);
        for (let i = 0; i < done; i++) take(before);
        const after = new SmoothCredit(setOf(given), () => 0, before);
        for (let i = 0; i < 60; i++) expect(take(after)).toBe(take(before));
      },
    ),
  );
});

test("workers that start together do not begin with the same backend", () => {
  let seed = 0;
  const random = () => mix32(++seed) / 2 ** 32;
  const firsts = new Set(
    Array.from({ length: 60 }, () => take(new SmoothCredit(setOf(new Array(50).fill(1)), random))),
  );
  expect(firsts.size).toBeGreaterThan(20);
});

test("numbers stay exact over very many turns", () => {
  const weights = [65_535, 1];
  const credit = new SmoothCredit(setOf(weights), () => 0);
  // Whole rounds, until what the first one has earned is beyond what is kept.
  for (let i = 0; i < 65_536 * 260; i++) take(credit);
  expect(Math.abs(credit.of(0))).toBeLessThan(65_536);
  expect(Array.from({ length: 65_536 }, () => take(credit))).toEqual(plain(weights, 65_536));
});

test("least-connections among very many keeps work in proportion, and finds one without work", () => {
  const weights = Array.from({ length: 600 }, (_, i) => 1 + (i % 3));
  const active = weights.map(() => 0);
  const env = { random: () => 0.5, now: () => 0, seed: 1, load: (i: number) => active[i]! };
  const scheduler = leastConnections.create(setOf(weights), {}, env);
  const pick = (): number => scheduler.pick(0, nothingTried);
  for (let i = 0; i < 12_000; i++) active[pick()]!++;
  // 12,000 over a weight of 1,200: ten for each.
  active.forEach((count, i) => {
    expect(Math.abs(count - 10 * weights[i]!)).toBeLessThanOrEqual(2 * weights[i]!);
  });
  active[321] = 0;
  const looked = Array.from({ length: 600 }, () => pick());
  expect(looked).toContain(321);
});
