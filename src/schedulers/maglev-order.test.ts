import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fillOrder, NOBODY } from "./maglev-order.ts";
import { fillMaglev } from "./maglev-table.ts";

const SLOTS = 1021;
const namesOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `10.0.0.${i + 1}:80`);

function orderOf(names: readonly string[], weights = names.map(() => 1), slots = SLOTS): Uint16Array<ArrayBuffer>[] {
  const layers = [0, 1, 2].map(() => new Uint16Array(slots));
  fillOrder(layers, names, weights, 7);
  return layers;
}
const countOf = (layer: Uint16Array, size: number): number[] => {
  const counts = new Array<number>(size).fill(0);
  for (const index of layer) if (index !== NOBODY) counts[index]!++;
  return counts;
};

const sets = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 });

describe("the order of slots", () => {
  test("its first layer is Maglev's table, no slot has anybody twice, and each has as many as there are", () => {
    fc.assert(
      fc.property(sets, (weights) => {
        const names = namesOf(weights.length);
        const layers = orderOf(names, weights);
        const table = new Uint16Array(SLOTS);
        fillMaglev(table, names, weights, 7);
        expect(layers[0]).toEqual(table);
        for (let slot = 0; slot < SLOTS; slot++) {
          const named = layers.map((layer) => layer[slot]!).filter((index) => index !== NOBODY);
          expect(named.length).toBe(Math.min(3, weights.length));
          expect(new Set(named).size).toBe(named.length);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("it is the same whatever the order in which backends are told", () => {
    fc.assert(
      fc.property(sets, (weights) => {
        const names = namesOf(weights.length);
        const forward = orderOf(names, weights);
        const backward = orderOf(names.toReversed(), weights.toReversed());
        forward.forEach((layer, depth) => {
          const mirrored = backward[depth]!.map((index) => (index === NOBODY ? NOBODY : weights.length - 1 - index));
          expect(mirrored).toEqual(layer);
        });
      }),
      { numRuns: 30 },
    );
  });

  test("shares are even in every layer, and what one leaves is spread over all others", () => {
    const size = 10;
    const layers = orderOf(namesOf(size), undefined, 16_381);
    for (const layer of layers) {
      const counts = countOf(layer, size);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }
    const heirs = countOf(
      layers[1]!.filter((_, slot) => layers[0]![slot] === 0),
      size,
    );
    expect(heirs[0]).toBe(0);
    for (const count of heirs.slice(1)) expect(Math.abs(count - 16_381 / size / 9)).toBeLessThan(60);
  });

  test("a backend more or less leaves who had a slot among its first three, but for a few in a thousand", () => {
    for (const size of [4, 10, 50]) {
      const before = orderOf(namesOf(size), undefined, 16_381);
      const after = orderOf(namesOf(size + 1), undefined, 16_381);
      const lost = (from: Uint16Array[], to: Uint16Array[]): number =>
        from[0]!.filter((index, slot) => index !== size && !to.some((layer) => layer[slot] === index)).length;
      expect(lost(before, after)).toBeLessThan(16_381 * 0.005);
      expect(lost(after, before)).toBeLessThan(16_381 * 0.005);
    }
  });
});
