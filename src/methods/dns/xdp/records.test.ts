import { expect, test } from "bun:test";
import { numbers } from "./queries.ts";
import { aliasTable, orderFor } from "./records.ts";

test("an alias table gives each its share exactly", () => {
  for (const weights of [[1], [1, 1], [1, 2, 3], [5, 0.5, 90, 1, 1], Array.from({ length: 40 }, (_, i) => i + 1)]) {
    const total = weights.reduce((sum, w) => sum + w, 0);
    const shares = weights.map(() => 0);
    for (const [i, { keep, other }] of aliasTable(weights).entries()) {
      shares[i]! += keep / 65536 / weights.length;
      shares[other]! += (65536 - keep) / 65536 / weights.length;
    }
    for (const [i, share] of shares.entries()) expect(share).toBeCloseTo(weights[i]! / total, 4);
  }
});

test("over random numbers each stands first by its weight, and is followed by all others", () => {
  const below = numbers(5);
  const weights = [1, 2, 3, 4, 5];
  const firsts = weights.map(() => 0);
  const pairs = new Set<string>();
  const draws = 60_000;
  for (let i = 0; i < draws; i++) {
    const order = orderFor(weights, { most: 5, inTurn: false }, below(2 ** 32));
    expect([...order].sort()).toEqual([0, 1, 2, 3, 4]);
    firsts[order[0]!]!++;
    pairs.add(`${order[0]} ${order[1]}`);
  }
  for (const [i, count] of firsts.entries()) expect(Math.abs(count / draws - weights[i]! / 15)).toBeLessThan(0.01);
  // Three rings: three of the four others.
  expect(pairs.size).toBe(15);
});
