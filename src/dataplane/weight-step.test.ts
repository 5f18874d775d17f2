import { expect, test } from "bun:test";
import fc from "fast-check";
import { WEIGHTS_WAIT, weightStep } from "./weight-step.ts";

test("goes all the way where that is allowed, else so far that it is, and nowhere where nothing is", () => {
  expect(weightStep([100, 100], [1, 100], () => 0)).toEqual([1, 100]);
  // The share that moves grows with how far the first weight does.
  const share = ([first = 0]: readonly number[]): number => (100 - first) / 200;
  expect(weightStep([100, 100], [1, 100], share)).toEqual([50, 100]);
  expect(weightStep([50, 100], [1, 100], () => 0.26)).toBeNull();
});

test("steps that settle in between arrive, whatever the weights", () => {
  const weights = fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(weights, weights, (before, wanted) => {
      const parts = (list: readonly number[]): number[] => list.map((w) => w / list.reduce((a, b) => a + b));
      let now = before;
      for (let i = 0; i < 400 && now.join() !== wanted.join(); i++) {
        const from = parts(now);
        // What Maglev must move: the shares that grow.
        const moved = (list: readonly number[]): number =>
          parts(list).reduce((sum, part, at) => sum + Math.max(0, part - from[at]!), 0);
        const step = weightStep(now, wanted, moved);
        if (step === null) break;
        expect(moved(step)).toBeLessThanOrEqual(WEIGHTS_WAIT);
        now = step;
      }
      // A single weight in tens of thousands against ones may be too coarse for a quarter; all others arrive.
      if (Math.min(...before, ...wanted) > 200) expect(now).toEqual(wanted);
    }),
  );
});
