import { expect, test } from "bun:test";
import { BoundedCache } from "./bounded-cache.ts";
import { SignatureBudget } from "./signature-budget.ts";

const entry = (tag: number) => ({ tag });

test("a stream of names that nobody asks for twice leaves what is asked for in the cache, which stays bounded", () => {
  const cache = new BoundedCache<{ tag: number }>(100);
  cache.set("kept", entry(1));
  for (let i = 0; i < 10_000; i++) {
    cache.set(`random-${i}`, entry(2));
    if (i % 50 === 0) expect(cache.get("kept")?.tag).toBe(1);
    expect(cache.size).toBeLessThanOrEqual(200);
  }
  expect(cache.get("random-0")).toBeUndefined();
  expect(cache.get("random-9999")?.tag).toBe(2);
});

test("a budget gives its rate, and no more than a twentieth of it at once", () => {
  let now = 0;
  const budget = new SignatureBudget(1000, () => now);
  const taken = (): number => {
    let count = 0;
    while (budget.take()) count++;
    return count;
  };
  expect(taken()).toBe(50);
  now = 10;
  expect(taken()).toBe(10);
  now = 60_000;
  expect(taken()).toBe(50);
});
