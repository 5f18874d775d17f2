import { expect, test } from "bun:test";
import { z } from "zod";
import type { Verdict } from "../../core/check.ts";
import { defineCheck } from "../../core/check.ts";
import type { ProbeJob } from "../../core/worker-protocol.ts";
import { Schedule } from "./schedule.ts";

const good: Verdict = { passed: true, code: "SLUICE_CHECK_OK", detail: "connected", latency: 1 };

/** A schedule on a clock of its own; `started` holds when each probe began, `answer` ends the oldest one. */
function staged(instant = true) {
  const clock = { at: 0 };
  const timers: { due: number; call: () => void }[] = [];
  const started = new Map<string, number[]>();
  const verdicts: string[] = [];
  const open: ((verdict: Verdict) => void)[] = [];
  const check = defineCheck({
    name: "fake",
    summary: "Answers when told.",
    options: z.unknown(),
    probe(target) {
      const key = String(target.port);
      started.set(key, [...(started.get(key) ?? []), clock.at]);
      if (instant) return Promise.resolve(good);
      return new Promise<Verdict>((resolve) => void open.push(resolve));
    },
  });
  const broken = defineCheck({
    name: "broken",
    summary: "Breaks its promise.",
    options: z.unknown(),
    probe: () => Promise.reject(new Error("boom")),
  });
  const schedule = new Schedule({
    checks: [check, broken],
    verdict: (key, verdict) => void verdicts.push(`${key} ${verdict.code}`),
    now: () => clock.at,
    after(ms, call) {
      const timer = { due: clock.at + ms, call };
      let [low, high] = [0, timers.length];
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (timers[middle]!.due <= timer.due) low = middle + 1;
        else high = middle;
      }
      timers.splice(low, 0, timer);
      return () => void (timers.includes(timer) && timers.splice(timers.indexOf(timer), 1));
    },
  });
  const run = async (until: number) => {
    for (;;) {
      const next = timers[0];
      if (!next || next.due > until) break;
      timers.shift();
      clock.at = Math.max(clock.at, next.due);
      next.call();
      for (let i = 0; i < 5; i++) await Promise.resolve();
    }
    clock.at = until;
    for (let i = 0; i < 5; i++) await Promise.resolve();
  };
  const answer = async () => {
    open.shift()!(good);
    for (let i = 0; i < 5; i++) await Promise.resolve();
  };
  return { schedule, run, started, verdicts, answer, open, timers, clock };
}

const job = (port: number, interval = 1000, kind = "fake"): ProbeJob => ({
  key: `web/${port}`,
  check: { kind, options: {}, interval, timeout: 500, rise: 1, fall: 1 },
  target: { address: "10.0.0.1", port },
});

test("the first probe comes at once, the second within five quarters of an interval, then one each interval", async () => {
  const { schedule, run, started } = staged();
  schedule.set([job(1)]);
  await run(10_000);
  const times = started.get("1")!;
  expect(times[0]).toBe(0);
  expect(times[1]! >= 250 && times[1]! <= 1250).toBe(true);
  for (let i = 2; i < times.length; i++) expect(times[i]! - times[i - 1]!).toBeCloseTo(1000, 6);
  expect(times.length).toBeGreaterThanOrEqual(10);
});

test("10,000 jobs begin within 2 s and then spread over the interval", async () => {
  const { schedule, run, started } = staged();
  schedule.set(Array.from({ length: 10_000 }, (_, i) => job(i + 1, 4000)));
  await run(2000);
  expect(started.size).toBe(10_000);
  await run(14_000);
  const slots = new Array<number>(20).fill(0);
  for (const times of started.values()) {
    expect(times.length).toBeGreaterThanOrEqual(3);
    slots[Math.floor((times.at(-1)! % 4000) / 200)]!++;
  }
  // Even would be 500 each, by chance up to 60 more or less.
  expect(Math.max(...slots)).toBeLessThan(600);
});

test("at most one probe of a job is under way, and its rhythm stays", async () => {
  const { schedule, run, started, answer, verdicts } = staged(false);
  schedule.set([job(1)]);
  await run(5500);
  expect(started.get("1")).toHaveLength(1);
  await answer();
  expect(verdicts).toEqual(["web/1 SLUICE_CHECK_OK"]);
  await run(6600);
  expect(started.get("1")).toHaveLength(2);
});

test("a new set: what stays keeps its rhythm, what changed begins anew, what is gone falls silent", async () => {
  const { schedule, run, started, answer, verdicts, timers } = staged(false);
  schedule.set([job(1), job(2), job(3)]);
  await run(100);
  schedule.set([job(1), job(2, 2000)]);
  await run(200);
  expect(started.get("1")).toHaveLength(1);
  expect(started.get("2")).toHaveLength(2);
  for (let i = 0; i < 4; i++) await answer();
  expect(verdicts.sort()).toEqual(["web/1 SLUICE_CHECK_OK", "web/2 SLUICE_CHECK_OK"]);
  expect(schedule.size).toBe(2);
  schedule.set([]);
  expect(timers).toHaveLength(0);
});

test("more probes than may be under way wait their turn, and those that are gone meanwhile are dropped", async () => {
  const { schedule, run, open, answer } = staged(false);
  schedule.set(Array.from({ length: 5000 }, (_, i) => job(i + 1, 60_000)));
  await run(2000);
  expect(open).toHaveLength(4096);
  await answer();
  expect(open).toHaveLength(4096);
  schedule.set(Array.from({ length: 4097 }, (_, i) => job(i + 1, 60_000)));
  await answer();
  expect(open).toHaveLength(4095);
});

test("a machine that slept goes on from now, without a burst", async () => {
  const { schedule, run, started, clock } = staged();
  schedule.set([job(1)]);
  await run(3000);
  const before = started.get("1")!.length;
  clock.at = 100_000;
  await run(100_000);
  expect(started.get("1")!.length - before).toBeLessThanOrEqual(2);
});

test("a check that breaks, or is not known, blames no backend", async () => {
  const { schedule, run, verdicts } = staged();
  schedule.set([job(1, 1000, "broken"), job(2, 1000, "unknown")]);
  await run(10);
  expect(verdicts).toEqual(["web/1 SLUICE_CHECK_LOCAL", "web/2 SLUICE_CHECK_LOCAL"]);
});
