import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { mix32 } from "../core/hash.ts";
import { type EligibleSet, nothingTried, type SchedulerDefinition } from "../core/scheduler.ts";
import { Latency } from "./latency.ts";
import { schedulers } from "./list.ts";
import { ResponseTimes } from "./response-times.ts";

const setOf = (count: number): EligibleSet => ({
  ids: Array.from({ length: count }, (_, i) => i),
  names: Array.from({ length: count }, (_, i) => `10.0.0.${i}:80`),
  weights: new Array<number>(count).fill(1),
});

describe("times, from beginnings and ends alone", () => {
  test("one after the other: each time counts, the newest most", () => {
    let now = 0;
    const latency = new Latency(setOf(1), () => now);
    for (let i = 0; i < 500; i++) {
      latency.began(0);
      now += 20;
      latency.ended(0, "done");
      now += 5;
    }
    expect(latency.of(0)).toBeCloseTo(20, 0);
  });

  test("many at a time: the mean time of one, not the time between two ends", () => {
    let now = 0;
    const latency = new Latency(setOf(1), () => now);
    // Ten under way at any time, one ends every 10 ms: each takes 100 ms.
    for (let i = 0; i < 10; i++) latency.began(0);
    for (let i = 0; i < 1000; i++) {
      now += 10;
      latency.ended(0, "done");
      latency.began(0);
    }
    expect(latency.of(0)).toBeCloseTo(100, 0);
  });

  test("a backend that stops answering grows slower by the moment; one without work is forgotten", () => {
    let now = 0;
    const latency = new Latency(setOf(1), () => now);
    latency.began(0);
    now = 10;
    latency.ended(0, "done");
    expect(latency.of(0)).toBe(10);
    latency.began(0);
    now = 3010;
    expect(latency.of(0)).toBe(3000);
    latency.ended(0, "aborted");
    expect(latency.of(0)).toBe(10);
    now += 60_000;
    expect(latency.of(0)).toBeLessThan(0.01);
  });

  test("failing fast is not being fast; a change of the set carries what is known", () => {
    let now = 0;
    const before = new Latency(setOf(2), () => now);
    before.began(0);
    now = 1;
    before.ended(0, "failed");
    expect(before.of(0)).toBe(1000);
    const after = new Latency(setOf(3), () => now, before);
    expect([after.of(0), after.of(1)]).toEqual([1000, 0]);
    expect(after.of(2)).toBe(1000); // new: as the mean of those that are known
  });
});

describe("times at each load", () => {
  /** Work that meets `load` and takes `ms`. */
  const meet = (times: ResponseTimes, load: number, at: number, ms: number) => {
    times.began(0, load, at);
    times.ended(0, "done", at + ms);
  };

  test("a time belongs to the load that its work met; the nearest load that is known speaks for others", () => {
    const times = new ResponseTimes(setOf(1));
    expect(times.of(0, 3, 0)).toBe(0);
    meet(times, 0, 0, 10);
    meet(times, 8, 10, 80);
    expect([0, 3, 5, 8, 500].map((load) => times.of(0, load, 90))).toEqual([10, 10, 80, 80, 80]);
  });

  test("a backend that stops answering grows slower by the moment; an old time is believed less and less", () => {
    const times = new ResponseTimes(setOf(1));
    meet(times, 0, 0, 40);
    expect(times.of(0, 0, 300)).toBe(40);
    expect(times.of(0, 0, 1340)).toBeCloseTo(40 / Math.E, 0);
    times.began(0, 0, 2000);
    expect(times.of(0, 0, 2900)).toBe(900);
    times.ended(0, "aborted", 2900);
    expect(times.of(0, 0, 2900)).toBeLessThan(10);
  });

  test("failing fast is not being fast; a change of the set carries what is known and what is under way", () => {
    const before = new ResponseTimes(setOf(2));
    before.began(1, 0, 0);
    before.ended(1, "failed", 1);
    before.began(1, 0, 1);
    const after = new ResponseTimes(setOf(3), before);
    expect([0, 1, 2].map((index) => after.of(index, 0, 2))).toEqual([0, 1000, 0]);
    after.ended(1, "done", 2);
    after.ended(2, "done", 2); // begun under no set that had it
    expect(after.of(1, 0, 2)).toBeLessThan(1000);
  });

  test("any beginnings and ends: a time is never below 0 nor above the longest that was, and nothing is lost in growth", () => {
    const step = fc.record({ begin: fc.nat(200), load: fc.nat(5000), wait: fc.nat(50), end: fc.nat(200) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const times = new ResponseTimes(setOf(1));
        let now = 0;
        let open = 0;
        for (const { begin, load, wait, end } of steps) {
          for (let i = 0; i < begin; i++) times.began(0, load, now);
          open += begin;
          now += wait;
          for (let i = 0; i < end; i++) times.ended(0, "done", now);
          open = Math.max(0, open - end);
          const time = times.of(0, load, now);
          expect(time >= 0 && time <= now).toBe(true);
        }
        for (let i = 0; i < open; i++) times.ended(0, "done", now);
        expect(times.of(0, 0, now + 1e9)).toBe(0);
      }),
    );
  });
});

/** Share of 20,000 arrivals, one each ms, that go to the last of ten backends: it takes 100 ms, the others 10. */
function slowShare(definition: SchedulerDefinition): number {
  let state = 1;
  const random = () => {
    state = mix32(state + 0x9e3779b9);
    return state / 2 ** 32;
  };
  let now = 0;
  const active = new Array<number>(10).fill(0);
  const env = { random, now: () => now, seed: 1, load: (i: number) => active[i]! };
  const scheduler = definition.create(setOf(10), definition.options.parse({}), env);
  const ends = new Map<number, number[]>();
  let slow = 0;
  for (; now < 20_000; now++) {
    for (const index of ends.get(now) ?? []) {
      active[index]!--;
      scheduler.ended?.(index, "done");
    }
    ends.delete(now);
    const index = scheduler.pick(0, nothingTried);
    active[index]!++;
    scheduler.began?.(index);
    if (index === 9) slow++;
    const end = now + (index === 9 ? 100 : 10);
    ends.set(end, [...(ends.get(end) ?? []), index]);
  }
  return slow / 20_000;
}

test("who takes ten times as long gets far less than its share, least from those who know times", () => {
  const share = (name: string): number => slowShare(schedulers.find((s) => s.name === name)!);
  expect(share("round-robin")).toBeCloseTo(0.1, 3);
  const unaware = share("least-connections");
  expect(unaware).toBeLessThan(0.05);
  for (const name of ["p2c-ewma", "prequal"]) {
    expect(share(name)).toBeLessThan(unaware);
    expect(share(name)).toBeGreaterThan(0); // it is tried now and then: it may be well again
  }
});
