/** What every scheduler promises. A new one joins by its line in `list.ts`. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { mix32 } from "../core/hash.ts";
import { type EligibleSet, nothingTried, type Scheduler, type SchedulerDefinition } from "../core/scheduler.ts";
import { schedulers } from "./list.ts";

/** Schedulers that give every backend the same share: weights are not read, by definition. */
const weightless: ReadonlySet<string> = new Set(["round-robin"]);

/** How far a share of picks may be from the share of weights, over 60,000 picks and a few backends. */
const shareBounds: Record<string, number> = {
  "weighted-round-robin": 0.0005,
  "least-connections": 0.0005,
  "source-hash": 0.015,
  maglev: 0.015,
};
const DRAWN_SHARE_BOUND = 0.015;

function lcg(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = mix32(state + 0x9e3779b9);
    return state / 2 ** 32;
  };
}

const setOf = (weights: readonly number[], firstId = 1): EligibleSet => ({
  ids: weights.map((_, i) => i + firstId),
  names: weights.map((_, i) => `10.0.${(i + firstId) >> 8}.${(i + firstId) & 255}:80`),
  weights,
});

function make(definition: SchedulerDefinition, set: EligibleSet, previous?: Scheduler, active?: number[], seed = 7) {
  const env = { random: lcg(seed), now: () => 0, seed: 42, load: (i: number) => active?.[i] ?? 0 };
  return definition.create(set, definition.options.parse({}), env, previous);
}

function shares(picks: readonly number[], size: number): number[] {
  const counts = new Array<number>(size).fill(0);
  for (const index of picks) counts[index]!++;
  return counts.map((count) => count / picks.length);
}

const weightLists = fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 1000 });

for (const definition of schedulers) {
  /** The weights that its shares follow. */
  const heeded = (weights: readonly number[]) => (weightless.has(definition.name) ? weights.map(() => 1) : weights);
  describe(`scheduler ${definition.name}`, () => {
    test("declares what it has", () => {
      const scheduler = make(definition, setOf([1, 2]));
      expect(definition.faces).toContain("pick");
      expect(scheduler.order !== undefined).toBe(definition.faces.includes("order"));
      expect(scheduler.slots !== undefined).toBe(definition.faces.includes("slots"));
      expect(scheduler.turns !== undefined).toBe(definition.faces.includes("kernel"));
      expect(scheduler.mark !== undefined).toBe(scheduler.returned !== undefined);
      expect(definition.kernelId !== undefined).toBe(definition.faces.includes("kernel"));
      expect(definition.summary).toMatch(/^[A-Z].*\.$/);
    });

    test("an empty set is -1, no order, and an untouched table", () => {
      const scheduler = make(definition, setOf([]));
      expect(scheduler.pick(5, nothingTried)).toBe(-1);
      expect(scheduler.order?.(5, new Uint16Array(4)) ?? 0).toBe(0);
      const table = new Uint16Array(13).fill(9);
      scheduler.slots?.(table);
      expect([...table]).toEqual(new Array(13).fill(9));
    });

    test("one backend gets everything", () => {
      const scheduler = make(definition, setOf([3]));
      for (let key = 0; key < 50; key++) expect(scheduler.pick(mix32(key), nothingTried)).toBe(0);
    });

    test(`weights are ${weightless.has(definition.name) ? "not read: equal shares" : "respected"}`, () => {
      const bound = shareBounds[definition.name] ?? DRAWN_SHARE_BOUND;
      for (const weights of [
        [1, 1, 1],
        [1, 2, 3, 4],
        [5, 1, 1],
        [100, 1],
      ]) {
        const scheduler = make(definition, setOf(weights));
        const picks = Array.from({ length: 60_000 }, (_, i) => scheduler.pick(mix32(i), nothingTried));
        const total = heeded(weights).reduce((a, b) => a + b);
        shares(picks, weights.length).forEach((share, i) => {
          expect(Math.abs(share - heeded(weights)[i]! / total)).toBeLessThan(bound);
        });
      }
    });

    test("equal weights give equal shares", () => {
      const scheduler = make(definition, setOf([7, 7, 7, 7, 7]));
      const picks = Array.from({ length: 50_000 }, (_, i) => scheduler.pick(mix32(i), nothingTried));
      for (const share of shares(picks, 5)) expect(Math.abs(share - 0.2)).toBeLessThan(0.015);
    });

    test("any weights: no throw, an index of the set, tried ones never while others are left, -1 when none is", () => {
      fc.assert(
        fc.property(weightLists, fc.integer(), fc.array(fc.nat(999), { maxLength: 6 }), (weights, key, tries) => {
          const scheduler = make(definition, setOf(weights));
          const tried = new Set(tries.filter((index) => index < weights.length));
          for (let i = 0; i < 5; i++) {
            const index = scheduler.pick(mix32(key + i), tried);
            if (tried.size >= weights.length) expect(index).toBe(-1);
            else expect(index >= 0 && index < weights.length && !tried.has(index)).toBe(true);
          }
        }),
        { numRuns: 60 },
      );
    });

    test("a full round of retries visits every backend once", () => {
      const weights = [1, 50, 3, 900, 2, 65_535];
      const scheduler = make(definition, setOf(weights));
      const tried = new Set<number>();
      for (let i = 0; i < weights.length; i++) tried.add(scheduler.pick(12_345, tried));
      expect([...tried].sort()).toEqual([0, 1, 2, 3, 4, 5]);
      expect(scheduler.pick(12_345, tried)).toBe(-1);
    });

    test("the same seed and the same calls give the same picks", () => {
      const run = () => {
        const scheduler = make(definition, setOf([3, 1, 4, 1, 5]));
        return Array.from({ length: 200 }, (_, i) => scheduler.pick(mix32(i), nothingTried));
      };
      expect(run()).toEqual(run());
    });

    test("a successor over another set works, and picks only from it", () => {
      fc.assert(
        fc.property(weightLists, weightLists, fc.nat(2000), (before, after, firstId) => {
          const old = make(definition, setOf(before));
          for (let i = 0; i < 7; i++) old.pick(mix32(i), nothingTried);
          const scheduler = make(definition, setOf(after, firstId + 1), old);
          const index = scheduler.pick(99, nothingTried);
          expect(index >= 0 && index < after.length).toBe(true);
        }),
        { numRuns: 30 },
      );
    });

    if (definition.faces.includes("order")) {
      test("an order begins with a pick, repeats none, and fills what it can", () => {
        fc.assert(
          fc.property(weightLists, fc.integer(), fc.integer({ min: 1, max: 1200 }), (weights, key, room) => {
            const out = new Uint16Array(room);
            const picked = make(definition, setOf(weights)).pick(mix32(key), nothingTried);
            const count = make(definition, setOf(weights)).order!(mix32(key), out);
            const places = [...out.subarray(0, count)];
            expect(count).toBe(Math.min(room, weights.length));
            expect(new Set(places).size).toBe(count);
            expect(places.every((index) => index < weights.length)).toBe(true);
            if (definition.name !== "random") expect(places[0]).toBe(picked);
          }),
          { numRuns: 40 },
        );
      });

      test("first places follow the weights that are read", () => {
        const weights = [1, 2, 5];
        const total = heeded(weights).reduce((a, b) => a + b);
        const scheduler = make(definition, setOf(weights));
        const out = new Uint16Array(3);
        const firsts = Array.from({ length: 40_000 }, (_, i) => {
          scheduler.order!(mix32(i), out);
          return out[0]!;
        });
        shares(firsts, 3).forEach((share, i) => {
          expect(Math.abs(share - heeded(weights)[i]! / total)).toBeLessThan(DRAWN_SHARE_BOUND);
        });
      });
    }

    if (make(definition, setOf([1, 2])).returned !== undefined) {
      test("after turns that have returned the same orders come again, and turns of small weights do return", () => {
        const weights = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 6 });
        fc.assert(
          fc.property(weights, weights, fc.nat(100), fc.nat(2 ** 31), (before, after, taken, seed) => {
            const old = make(definition, setOf(before), undefined, undefined, seed);
            const out = new Uint16Array(6);
            const turn = (scheduler: Scheduler): string => {
              const count = scheduler.order!(0, out);
              return out.subarray(0, count).join();
            };
            for (let i = 0; i < taken; i++) turn(old);
            const scheduler = make(definition, setOf(after, 3), old, undefined, seed);
            const sum = heeded(after).reduce((a, b) => a + b);
            // The first turns may make up for what the set before has left.
            for (let i = 0; i < 200; i++) turn(scheduler);
            scheduler.mark!();
            const round: string[] = [];
            do round.push(turn(scheduler));
            while (!scheduler.returned!() && round.length < sum);
            expect(scheduler.returned!()).toBe(true);
            for (let i = 0; i < 3; i++) expect(round.map(() => turn(scheduler))).toEqual(round);
          }),
          { numRuns: 200 },
        );
      });
    }

    if (definition.faces.includes("kernel")) {
      test("a round of turns follows the weights that are read", () => {
        const weights = [5, 1, 2];
        const out = new Uint16Array(4096);
        const count = make(definition, setOf(weights)).turns!(out);
        const total = heeded(weights).reduce((a, b) => a + b);
        shares([...out.subarray(0, count)], 3).forEach((share, i) => {
          expect(share).toBe(heeded(weights)[i]! / total);
        });
      });
    }

    if (definition.faces.includes("slots")) {
      test("a table has every slot filled, everyone in it, shares as the weights", () => {
        const weights = [10, 20, 30, 40];
        for (const length of [16_381, 1000, 97]) {
          const table = new Uint16Array(length).fill(65_535);
          make(definition, setOf(weights)).slots!(table);
          const counts = shares([...table], 4);
          counts.forEach((share, i) => {
            expect(Math.abs(share - weights[i]! / 100)).toBeLessThanOrEqual(0.001 + 4 / length);
          });
        }
      });

      test("a pick is its slot, and the table does not hang on ids or on their order", () => {
        const set = setOf([3, 1, 4, 1, 5, 9]);
        const scheduler = make(definition, set);
        const table = new Uint16Array(16_381);
        scheduler.slots!(table);
        for (let key = 0; key < 1000; key++) {
          const hashed = mix32(key);
          expect(scheduler.pick(hashed, nothingTried)).toBe(table[hashed % 16_381]!);
        }
        const turned = {
          ids: [11, 12, 13, 14, 15, 16],
          names: [...set.names].reverse(),
          weights: [...set.weights].reverse(),
        };
        const other = new Uint16Array(16_381);
        make(definition, turned).slots!(other);
        expect(other.every((index, slot) => 5 - index === table[slot])).toBe(true);
      });

      test("when one of 50 leaves, under 3 % of the others' slots move", () => {
        const set = setOf(new Array(50).fill(1));
        const before = new Uint16Array(16_381);
        const after = new Uint16Array(16_381);
        make(definition, set).slots!(before);
        make(definition, {
          ids: set.ids.filter((_, i) => i !== 17),
          names: set.names.filter((_, i) => i !== 17),
          weights: set.weights.slice(1),
        }).slots!(after);
        let moved = 0;
        before.forEach((index, slot) => {
          const now = after[slot]!;
          if (index !== 17 && (now < 17 ? now : now + 1) !== index) moved++;
        });
        expect(moved / before.length).toBeLessThan(0.03);
      });
    }
  });
}

test("a load-aware scheduler keeps work under way in proportion to the weights", () => {
  for (const definition of schedulers.filter((d) => d.needs.load === "own")) {
    const weights = [1, 2, 4, 1];
    const active = [0, 0, 0, 0];
    const scheduler = make(definition, setOf(weights), undefined, active);
    for (let i = 0; i < 800; i++) active[scheduler.pick(mix32(i), nothingTried)]!++;
    active.forEach((count, i) => {
      expect(Math.abs(count / 800 - weights[i]! / 8)).toBeLessThan(0.03);
    });
  }
});
