import { describe, expect, test } from "bun:test";
import type { Leaf } from "../system/btf.ts";
import { conversionOf, convert, otherMeaning } from "./layouts.ts";

type Field = [path: string, size: number, count?: number];

/** A struct of these fields, one after another. */
function layout(name: string, fields: readonly Field[]) {
  let offset = 0;
  const leaves = fields.map(([path, size, count = 1]): Leaf => {
    const leaf = { path, offset, size, count };
    offset += size * count;
    return leaf;
  });
  const struct = (asked: string) => (asked === name ? { size: offset, leaves } : null);
  return { size: offset, struct, numbers: () => new Map<string, number>() };
}

function converted(before: readonly Field[], after: readonly Field[], values: readonly number[], name = "backend") {
  const [former, own] = [layout(name, before), layout(name, after)];
  const conversion = conversionOf(former, own, name);
  if ("refused" in conversion) return conversion.refused;
  return [...convert(Uint8Array.from(values), former.size, own.size, conversion)];
}

describe("elements of another layout", () => {
  test("go over field by field, wherever each stands", () => {
    const before: Field[] = [
      ["a", 1],
      ["b", 2],
      ["c", 1, 3],
    ];
    expect(
      converted(
        before,
        [
          ["c", 1, 3],
          ["a", 1],
          ["b", 2],
        ],
        [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16],
      ),
    ).toEqual([4, 5, 6, 1, 2, 3, 14, 15, 16, 11, 12, 13]);
  });

  test("go over into wider numbers, longer rows, and pairs that became one", () => {
    expect(
      converted(
        [
          ["a", 1],
          ["b", 2],
        ],
        [
          ["b", 4],
          ["a", 2],
        ],
        [1, 2, 3],
      ),
    ).toEqual([2, 3, 0, 0, 1, 0]);
    expect(converted([["a", 1, 2]], [["a", 1, 4]], [1, 2])).toEqual([1, 2, 0, 0]);
    expect(converted([["a", 2, 2]], [["a", 4, 3]], [1, 2, 3, 4])).toEqual([1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0]);
    expect(converted([["a", 2, 2]], [["a", 4]], [1, 2, 3, 4])).toEqual([1, 2, 3, 4]);
  });

  test("are refused by name where one holds what the other does not", () => {
    expect(converted([["a", 4]], [["b", 4]], [])).toBe("the former backend has no b");
    expect(
      converted(
        [
          ["a", 4],
          ["b", 4],
        ],
        [["a", 4]],
        [],
      ),
    ).toBe("nothing holds the former backend's b");
    expect(converted([["a", 4]], [["a", 2]], [])).toBe("backend.a held more than it does now");
    expect(converted([["a", 4, 3]], [["a", 4, 2]], [])).toBe("backend.a held more than it does now");
  });

  test("begin without what nothing is decided by", () => {
    expect(
      converted(
        [["slots", 1]],
        [
          ["slots", 1],
          ["no_room", 1],
        ],
        [7],
        "service",
      ),
    ).toEqual([7, 0]);
    expect(
      converted(
        [
          ["slots", 1],
          ["no_room", 1],
        ],
        [["slots", 1]],
        [7, 9],
        "service",
      ),
    ).toEqual([7]);
  });

  test("are refused where a number means something else", () => {
    const numbers = (values: Record<string, number>, of: string) => ({
      numbers: (name: string) => new Map(name === of ? Object.entries(values) : []),
    });
    const kinds = (values: Record<string, number>) => numbers(values, "sluice_slot");
    expect(otherMeaning(kinds({ PHASE_WINDOW: 1 }), kinds({ PHASE_WINDOW: 1, PHASE_NEW: 3 }))).toBeNull();
    expect(otherMeaning(kinds({ PHASE_WINDOW: 1 }), kinds({ PHASE_WINDOW: 2 }))).toBe("PHASE_WINDOW was 1");
    const limits = (values: Record<string, number>) => numbers(values, "sluice_limit");
    expect(otherMeaning(limits({ MAX_HOPS: 1 }), limits({ MAX_HOPS: 2 }))).toBeNull();
    expect(otherMeaning(limits({ ARRIVALS: 1 }), limits({ ARRIVALS: 2 }))).toBe("ARRIVALS was 1");
  });
});
