import { expect, test } from "bun:test";
import fc from "fast-check";
import { assignIds, type IdBook, identity } from "./ids.ts";

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
        let book: IdBook = {};
        let before: number[] = [];
        for (const set of history) {
          const next = assignIds(book, "web", set.map(backend));
          const numbers = set.map((n) => next.web!.ids[identity(backend(n))]!);
          expect(new Set(numbers).size).toBe(set.length);
          for (const n of set)
            if (before.includes(n))
              expect(next.web!.ids[identity(backend(n))]).toBe(book.web!.ids[identity(backend(n))]!);
          book = next;
          before = set;
        }
      },
    ),
  );
});

test("a number that was given up is not given again at once", () => {
  let book = assignIds({}, "web", [backend(1)]);
  book = assignIds(book, "web", [backend(2)]);
  expect(book.web!.ids[identity(backend(2))]).toBe(1);
});
