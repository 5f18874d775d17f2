import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  eject,
  ejectionTime,
  freshRecord,
  isOver,
  judgePace,
  look,
  mayEject,
  type Record,
  readmit,
  type Tally,
  usualPace,
} from "./ejection.ts";
import type { EjectionRules } from "./health-rules.ts";

const rules: EjectionRules = {
  failures: 3,
  percent: 50,
  volume: 10,
  window: 1000,
  time: 10_000,
  longest: 60_000,
  share: 50,
  slow: false,
  statuses: [],
};
const start = freshRecord({ successes: 0, failures: 0, waited: 0 }, 0);
const after = (tallies: readonly [successes: number, failures: number][], record: Record = start) => {
  let why: string | null = null;
  for (const [successes, failures] of tallies)
    ({ record, why } = look(record, rules, { successes, failures, waited: 0 }, 10));
  return { record, why };
};

test("failures in a row eject; a success between them begins the row anew", () => {
  expect(
    after([
      [0, 1],
      [0, 2],
    ]).why,
  ).toBeNull();
  expect(
    after([
      [0, 1],
      [0, 2],
      [0, 3],
    ]).why,
  ).toBe("3 failures in a row");
  expect(
    after([
      [0, 2],
      [1, 3],
      [1, 4],
    ]).why,
  ).toBeNull();
  expect(
    after([
      [0, 2],
      [1, 3],
      [1, 5],
    ]).why,
  ).toBe("3 failures in a row");
});

test("a failed request that is still under way is no success when it is over", () => {
  const story = [1, 2, 3].flatMap((n): [number, number][] => [
    [-1, n],
    [0, n],
  ]);
  expect(after(story).why).toBe("3 failures in a row");
});

test("many failures between two looks count as a row, unless a success hides among them", () => {
  expect(after([[0, 50]]).why).toBe("50 failures in a row");
  expect(after([[1, 50]]).why).toBeNull();
});

test("a window with enough requests ejects by its share of failures", () => {
  const before = look(start, rules, { successes: 60, failures: 40, waited: 0 }, 1000);
  expect(before.why).toBeNull();
  const { why } = look(before.record, rules, { successes: 100, failures: 90, waited: 0 }, 2000);
  expect(why).toBe("50 of 90 requests failed");
  expect(look(before.record, rules, { successes: 64, failures: 45, waited: 0 }, 2000).why).toBeNull();
});

test("each ejection is twice as long as the one before, up to the longest; a quiet window forgets one", () => {
  expect([0, 1, 2, 3, 50].map((times) => ejectionTime(rules, times))).toEqual([10_000, 20_000, 40_000, 60_000, 60_000]);
  const once = eject(start, rules, 500);
  expect([once.until, once.times]).toEqual([10_500, 1]);
  const back = readmit(once, { successes: 5, failures: 9, waited: 0 }, 10_500);
  expect([back.until, back.times, back.inARow]).toEqual([null, 1, 0]);
  expect(look(back, rules, { successes: 6, failures: 9, waited: 0 }, 12_000).record.times).toBe(0);
});

test("never more than the share of the pool", () => {
  expect([1, 2, 3, 4].map((members) => mayEject(rules, 0, members))).toEqual([false, true, true, true]);
  expect(mayEject(rules, 1, 3)).toBe(false);
  expect(mayEject({ ...rules, share: 100 }, 0, 1)).toBe(true);
});

test("any history of counts: only failures eject, and a row is never longer than all failures", () => {
  const step = fc.record({ ok: fc.nat(5), bad: fc.nat(5), later: fc.nat(2000) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let record = start;
      let tally: Tally = { successes: 0, failures: 0, waited: 0 };
      let now = 0;
      for (const { ok, bad, later } of steps) {
        tally = { ...tally, successes: tally.successes + ok, failures: tally.failures + bad };
        now += later;
        const seen = look(record, rules, tally, now);
        if (bad === 0 && ok > 0 && seen.why !== null) expect(seen.why).toContain("requests failed");
        expect(seen.record.inARow).toBeLessThanOrEqual(tally.failures);
        record = seen.record;
      }
    }),
  );
});

test("a window with enough answers has a pace; far above the pool's median is too slow", () => {
  const slow = { ...rules, slow: { times: 3, least: 50 } };
  const pacing = (ms: number, answers = 20) =>
    look(start, slow, { successes: answers, failures: 0, waited: (ms * answers) / 1000 }, 1000).record;
  expect(pacing(40).pace!.mean).toBeCloseTo(40);
  expect(pacing(40, 9).pace).toBeNull();
  expect(look(start, rules, { successes: 20, failures: 0, waited: 9 }, 1000).record.pace).toBeNull();
  expect(usualPace([pacing(10), pacing(20)])).toBeNull();
  expect(usualPace([pacing(10), pacing(900), pacing(20), pacing(5, 1)])).toBeCloseTo(20);
  expect(judgePace(pacing(61), slow, 20).why).toBe("61 ms to answer where 20 ms are usual");
  for (const [ms, usual] of [
    [59, 20],
    [49, 1],
    [1e6, null],
  ] as const)
    expect(judgePace(pacing(ms), slow, usual)).toMatchObject({ why: null, record: { pace: null } });
});

test("being slow again and again counts as ejections do; a good window forgets one", () => {
  const slow = { ...rules, slow: { times: 3, least: 50 } };
  const record = { ...start, times: 2, pace: { mean: 500, quiet: true } };
  expect(judgePace(record, slow, 20).record.times).toBe(2);
  expect(judgePace({ ...record, pace: { mean: 20, quiet: true } }, slow, 20).record.times).toBe(1);
  expect(judgePace({ ...record, pace: { mean: 20, quiet: false } }, slow, 20).record.times).toBe(2);
});

test("each bound holds to the request and the millisecond", () => {
  /** What a window comes to of so many good and bad requests, looked at after so many ms. */
  const windowOf = (successes: number, failures: number, at = 1000, own: Partial<EjectionRules> = {}) =>
    look(start, { ...rules, failures: 1000, ...own }, { successes, failures, waited: successes }, at);
  expect(windowOf(5, 5).why).toBe("5 of 10 requests failed");
  expect(windowOf(6, 5).why).toBeNull();
  expect(windowOf(4, 5).why).toBeNull();
  expect(windowOf(5, 5, 999).why).toBeNull();
  expect(windowOf(10, 0, 1000, { percent: 0 }).why).toBeNull();
  // A clock that was set back ends the window, but one of no length does not.
  expect([windowOf(5, 5, 0).why, windowOf(5, 5, -1).why]).toEqual([null, "5 of 10 requests failed"]);
  const slow = { times: 4, least: 100 };
  const paced = (successes: number) => windowOf(successes, 0, 1000, { slow }).record;
  expect([paced(9).pace, paced(10).pace]).toEqual([null, { mean: 1000, quiet: true }]);
  const judged = (usual: number | null, own = rules) => judgePace(paced(10), { ...own, slow }, usual).why;
  expect([judged(250), judged(249), judged(null)]).toEqual([null, "1000 ms to answer where 249 ms are usual", null]);
  const unasked = judgePace(paced(10), rules, 1);
  expect([unasked.why, unasked.record.pace]).toEqual([null, { mean: 1000, quiet: true }]);
  expect([isOver(10, rules, 10), isOver(11, rules, 10)]).toEqual([true, false]);
  expect([isOver(60_010, rules, 10), isOver(60_011, rules, 10)]).toEqual([false, true]);
});
