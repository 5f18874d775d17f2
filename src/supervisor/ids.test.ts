import { expect, test } from "bun:test";
import fc from "fast-check";
import { identity, numbersFor, type ServiceIds } from "./ids.ts";

const backend = (n: number) => ({
  address: `10.0.0.${n}`,
  port: 80,
  weight: 1,
  tier: 0,
  tags: [],
  admin: "ready" as const,
});

test("a backend keeps its number while it stays; a number is never held by two", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uniqueArray(fc.integer({ min: 1, max: 9 })), { minLength: 1, maxLength: 30 }),
      (history) => {
        let held: ServiceIds | undefined;
        let before: number[] = [];
        for (const set of history) {
          const next = numbersFor(held, set.map(backend));
          const numbers = set.map((n) => next.ids[identity(backend(n))]!);
          expect(new Set(numbers).size).toBe(set.length);
          for (const n of set)
            if (before.includes(n)) expect(next.ids[identity(backend(n))]).toBe(held!.ids[identity(backend(n))]!);
          held = next;
          before = set;
        }
      },
    ),
  );
});

test("a number that was given up is not given again at once", () => {
  const first = numbersFor(undefined, [backend(1)]);
  expect(numbersFor(first, [backend(2)]).ids[identity(backend(2))]).toBe(1);
});
