import { expect, test } from "bun:test";
import fc from "fast-check";
import { MostWanted } from "./most-wanted.ts";

test("the most wanted are among the counted, never below their true count", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(30), { maxLength: 400 }), (asked) => {
      const wanted = new MostWanted(10);
      const truth = new Map<string, number>();
      for (const one of asked) {
        const name = `/${one}`;
        wanted.add(name);
        truth.set(name, (truth.get(name) ?? 0) + 1);
      }
      const counted = new Map(wanted.top(10).map((one) => [one.name, one]));
      expect(wanted.size).toBeLessThanOrEqual(10);
      for (const [name, count] of truth) if (count > asked.length / 10) expect(counted.has(name)).toBe(true);
      for (const { name, count, over } of counted.values()) {
        expect(count).toBeGreaterThanOrEqual(truth.get(name)!);
        expect(count - over).toBeLessThanOrEqual(truth.get(name)!);
      }
    }),
  );
});

test("counts of several add up; nothing is counted without room", () => {
  const [one, other, none] = [new MostWanted(4), new MostWanted(4), new MostWanted(0)];
  for (const name of ["a", "a", "b"]) one.add(name);
  for (const { name, count, over } of one.take()) other.add(name, count, over);
  other.add("b");
  other.add("b");
  expect(other.top(1)).toEqual([{ name: "b", count: 3, over: 0 }]);
  expect(one.size).toBe(0);
  none.add("a");
  expect(none.top(5)).toEqual([]);
});
