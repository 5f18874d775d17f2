import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import * as phases from "./phases.ts";

const T = 1000;
const one = (): phases.Slots => {
  const slots = phases.createSlots(1);
  phases.assign(slots, Uint16Array.of(1));
  return slots;
};
const seen = (slots: phases.Slots) => {
  const word = slots.words[0]!;
  return { current: phases.currentOf(word), base: phases.baseOf(word), phase: phases.phaseOf(word) };
};
const to = (slots: phases.Slots, backend: number, at: number): void => {
  phases.change(slots, Uint16Array.of(backend));
  phases.stamp(slots, at);
};

describe("a slot", () => {
  test("opens a window whose base is where its flows are", () => {
    const slots = one();
    to(slots, 2, 10);
    expect(seen(slots)).toEqual({ current: 2, base: 1, phase: phases.WINDOW });
  });

  test("keeps base and opening time when it changes again in an open window", () => {
    const slots = one();
    to(slots, 2, 10);
    to(slots, 3, 500);
    expect(seen(slots)).toEqual({ current: 3, base: 1, phase: phases.WINDOW });
    expect(slots.since[0]).toBe(10);
  });

  test("takes a new opening time when it leaves its base again", () => {
    const slots = one();
    to(slots, 2, 10);
    to(slots, 1, 20);
    to(slots, 3, 900);
    expect(seen(slots)).toEqual({ current: 3, base: 1, phase: phases.WINDOW });
    expect(slots.since[0]).toBe(900);
  });

  test("closes only when the idle time has passed since it opened and since a flow found no room", () => {
    const slots = one();
    to(slots, 2, 10);
    expect(phases.closeWindows(slots, 10 + T, T, -1e9)).toBe(0);
    expect(phases.closeWindows(slots, 11 + T, T, 500)).toBe(0);
    expect(phases.closeWindows(slots, 501 + T, T, 500)).toBe(1);
    expect(seen(slots).phase).toBe(phases.SPARSE);
  });

  test("settles only by a sweep that began after it was closed, and that found it empty", () => {
    const slots = one();
    to(slots, 2, 10);
    phases.closeWindows(slots, 5000, T, -1e9);
    phases.stamp(slots, 5000);
    expect(phases.settle(slots, 5000, () => false)).toBe(0);
    expect(phases.settle(slots, 5001, () => true)).toBe(0);
    expect(phases.settle(slots, 5001, () => false)).toBe(1);
    expect(seen(slots)).toEqual({ current: 2, base: 2, phase: phases.SETTLED });
  });

  test("gives what belonged to a backend that was forced out to its current one", () => {
    const slots = one();
    to(slots, 2, 10);
    expect(phases.forceOut(slots, new Set([1]))).toBe(1);
    expect(seen(slots)).toEqual({ current: 2, base: 2, phase: phases.SPARSE });
  });

  test("that settled on nobody remembers nothing", () => {
    const slots = phases.createSlots(1);
    to(slots, 4, 10);
    expect(seen(slots)).toEqual({ current: 4, base: 4, phase: phases.SETTLED });
  });

  test("never loses a base in an open window, whatever comes", () => {
    const step = fc.record({ backend: fc.integer({ min: 0, max: 5 }), wait: fc.integer({ min: 1, max: 600 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const slots = one();
        let time = 0;
        for (const { backend, wait } of steps) {
          const before = seen(slots);
          const opened = slots.since[0]!;
          to(slots, backend, time);
          const after = seen(slots);
          const open = before.phase === phases.WINDOW && before.current !== before.base;
          if (open) expect([after.base, slots.since[0]]).toEqual([before.base, opened]);
          else if (before.current !== backend) expect(after.base).toBe(before.current);
          time += wait;
          phases.closeWindows(slots, time, T, -1e9);
          phases.stamp(slots, time);
        }
      }),
    );
  });
});
