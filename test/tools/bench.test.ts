import { expect, test } from "bun:test";
import { medianInterval, row } from "../../bench/lib.ts";
import { readDnsperf } from "../../bench/support/dnsperf.ts";
import { cpuOf, family, machineCpu, memoryOf } from "../../bench/support/pinned.ts";
import { quantile, simulate } from "../../bench/support/simulated.ts";
import { scenes } from "../../bench/support/uneven.ts";
import { median, readWrk } from "../../bench/support/wrk.ts";
import { schedulers } from "../../src/schedulers/list.ts";

const WRK = `Running 2s test @ http://127.0.0.1:1/64
  1 threads and 64 connections
  Latency Distribution
     50%  840.00us
     75%    1.20ms
     90%    1.80ms
     99%    3.47ms
  90900 requests in 2.00s, 17.00MB read
Requests/sec:  45468.40
`;

test("wrk's report is read, in ms; a report with failures is refused", () => {
  expect(readWrk(WRK)).toEqual({ requests: 90_900, rps: 45_468.4, p50: 0.84, p99: 3.47 });
  expect(() => readWrk(`${WRK}  Non-2xx or 3xx responses: 3\n`)).toThrow("Non-2xx");
  expect(() => readWrk(`${WRK}  Socket errors: connect 0, read 1, write 0, timeout 0\n`)).toThrow("Socket errors");
});

test("dnsperf's report is read", () => {
  const report = `Statistics:
  Queries sent:         1000
  Queries completed:    990 (99.00%)
  Queries lost:         10 (1.00%)
  Queries per second:   34232.400000
  Average Latency (s):  0.002361 (min 0.000010, max 0.010000)
`;
  const read = readDnsperf(report);
  expect([read.completed, read.qps, read.lostPercent]).toEqual([990, 34_232.4, 1]);
  expect(read.meanMs).toBeCloseTo(2.361);
});

test("a ratio is 1.0 when level and below when ahead, for costs and for rates", () => {
  expect(row("a", "us", "lower", 2, { x: 4, y: 3 }).ratio).toBeCloseTo(2 / 3);
  expect(row("a", "1/s", "higher", 6, { x: 4, y: 3 }).ratio).toBeCloseTo(2 / 3);
  expect(row("a", "%", "lower", 0, { x: 0 }).ratio).toBe(1);
  expect(row("a", "us", "lower", 2).ratio).toBeNull();
});

test("medians, of odd and even counts", () => {
  expect([median([3, 1, 2]), median([4, 1, 3, 2])]).toEqual([2, 2.5]);
});

test("where a median lies: of nine values from the second to the eighth, of a hundred from the 40th to the 61st", () => {
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => count - i);
  expect([medianInterval(upTo(9)), medianInterval(upTo(100))]).toEqual([
    [2, 8],
    [40, 61],
  ]);
});

test.skipIf(process.platform !== "linux")("CPU and memory of processes, and who belongs to whom", () => {
  const child = Bun.spawn(["sleep", "60"]);
  try {
    expect(family(process.pid)).toContain(child.pid);
    expect(cpuOf([process.pid])).toBeGreaterThan(0);
    expect(machineCpu()).toBeGreaterThan(cpuOf([process.pid]));
    expect(memoryOf([process.pid])).toBeGreaterThan(1_000_000);
  } finally {
    child.kill("SIGKILL");
  }
});

test("the model of bench schedulers: deterministic; prequal answers the slowest hundredth far sooner than least connections", () => {
  const SECONDS = 6;
  const play = (name: string, scene: string, seed = 7) =>
    simulate(schedulers.find((scheduler) => scheduler.name === name)!, scenes[scene]!, SECONDS, seed);
  expect(play("prequal", "uneven")).toEqual(play("prequal", "uneven"));
  for (const scene of Object.keys(scenes))
    for (const seed of [1, 2]) {
      const [prequal, least] = ["prequal", "least-connections"].map((name) => play(name, scene, seed)) as [
        number[],
        number[],
      ];
      expect(prequal.length).toBeGreaterThan(0.9 * SECONDS * scenes[scene]!.rate);
      expect(quantile(prequal, 0.99)).toBeLessThan(0.7 * quantile(least, 0.99));
      expect(quantile(prequal, 0.999)).toBeLessThan(quantile(least, 0.999));
    }
});
