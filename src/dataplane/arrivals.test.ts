import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { netnsMissing } from "../system/netns-testing.ts";
import { type ArrivalEntry, MOST_ARRIVALS, placeArrivals } from "./arrivals.ts";
import { Limit } from "./generated/layout.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench } from "./testing/fixtures.ts";
import { xdpMissing } from "./testing/network.ts";

const entriesOf = (count: number): ArrivalEntry[] =>
  Array.from({ length: count }, (_, i) => ({
    kind: "reverse",
    address: `10.${i >> 14}.${(i >> 6) & 255}.${i & 63}`,
    port: 80,
    protocol: "tcp",
    service: 0,
    backend: i,
    vip: "125.12.12.77",
    vipPort: 80,
  }));
const seeds = fc.tuple(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }));

describe("the table of arrivals", () => {
  test("gives each entry a place of its own, with no empty one on the way that a look-up would stop at", () => {
    const counts = fc.integer({ min: 0, max: MOST_ARRIVALS });
    fc.assert(
      fc.property(counts, seeds, (count, seed) => {
        const entries = entriesOf(count);
        const places = placeArrivals(entries, seed);
        fc.pre(places !== null);
        const taken = new Set(places);
        expect(taken.size).toBe(count);
        for (const [i, place] of places!.entries()) {
          const home = placeArrivals([entries[i]!], seed)![0]!;
          const distance = (place - home + Limit.ARRIVALS) % Limit.ARRIVALS;
          expect(distance).toBeLessThan(Limit.ARRIVAL_PROBES);
          for (let step = 0; step < distance; step++) expect(taken.has((home + step) % Limit.ARRIVALS)).toBe(true);
        }
      }),
      { numRuns: 5 },
    );
  });

  test("holds as many as it says: one of sixteen seeds is always good enough", () => {
    const entries = entriesOf(MOST_ARRIVALS);
    fc.assert(
      fc.property(fc.array(seeds, { minLength: 16, maxLength: 16 }), (all) =>
        all.some((seed) => placeArrivals(entries, seed) !== null),
      ),
      { numRuns: 5 },
    );
  });
});

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: what a plane lacks: ${missing}`);

describe.skipIf(missing !== null)("what a plane lacks", () => {
  const service = (i: number, backends: number) =>
    testService(
      `s${i}`,
      [{ address: `125.12.${i >> 8}.${i & 255}`, port: 80, protocol: "tcp" as const }],
      Array.from({ length: backends }, (_, j) => testBackend(j + 1, `10.${i >> 8}.${i & 255}.${j + 1}`, 80)),
    );
  const many = Array.from({ length: 1000 }, (_, i) => service(i, 100));
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.create("nat", service(0, 1));
  }, 60_000);
  afterAll(() => bench?.close());

  test("ways back of nat, by number; those that drain count, other methods have none", () => {
    const { plane } = bench;
    const lacks = (...given: Parameters<typeof plane.lacks>) => plane.lacks(...given).map(({ message }) => message);
    expect(lacks("direct", many)).toEqual([]);
    expect(lacks("nat", many)).toEqual([expect.stringContaining("these services have 102000")]);
    // 281 services have 28,662 entries; with ten of one service that drain it is one too many.
    expect(lacks("nat", many.slice(0, 281))).toEqual([]);
    bench.commit("nat", { ...service(0, 1), backends: service(0, 111).backends.slice(100) });
    expect(lacks("nat", many.slice(0, 281))).toEqual([expect.stringContaining("these services have 28673")]);
  });
});
