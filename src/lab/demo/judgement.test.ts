import { describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { catalog } from "../../catalog.ts";
import { methodNames } from "../../core/service.ts";
import { countLosses, readLoad, type Sent } from "./losses.ts";
import { failuresOf } from "./perform.ts";
import type { DeathResult } from "./result.ts";
import { allowedAfter, exampleOf, mayLose, sharpen, toScene } from "./scene.ts";
import { shareError, shareLimit, toShares } from "./shares.ts";

const sent = (at: number, error: string | null = null): Sent => ({ at, took: 5, backend: error ? null : "b1", error });

describe("losses around a death", () => {
  test("tell before, within and after the allowed time apart", () => {
    const load = [
      sent(0),
      sent(10, "refused"),
      sent(98, "closed"),
      sent(150, "refused"),
      sent(301),
      sent(302, "refused"),
    ];
    expect(countLosses(load, 100, 200)).toEqual({
      ...{ sent: 6, lost: 4, lostBefore: 1, lostLate: 1, lastLost: 202, sentLate: 2 },
      errors: { refused: 3, closed: 1 },
    });
  });

  test("of a load without loss are none", () => {
    expect(countLosses([sent(0), sent(500)], 100, 200)).toMatchObject({ lost: 0, lastLost: null, sentLate: 1 });
  });

  test("are read from logs of several clients, by time, half-written lines left out", () => {
    const files = ["a", "b"].map((name) => join(tmpdir(), `sluice-load-${process.pid}-${name}`));
    writeFileSync(files[0]!, `${JSON.stringify(sent(3))}\n${JSON.stringify(sent(9, "timeout"))}\n{"at":`);
    writeFileSync(files[1]!, `${JSON.stringify(sent(5))}\n`);
    expect(readLoad(files)).toEqual([sent(3), sent(5), sent(9, "timeout")]);
    for (const file of files) rmSync(file);
  });
});

describe("shares", () => {
  test("against weights, lost requests counted as nobody's", () => {
    const shares = toShares(["a", "b", "b", null], new Map(Object.entries({ a: 1, b: 2, c: 1 })));
    expect(shares.map(({ requests, expected, got }) => [requests, expected, got])).toEqual([
      [1, 0.25, 0.25],
      [2, 0.5, 0.5],
      [0, 0.25, 0],
    ]);
    expect(shareError(shares)).toBe(25);
  });

  test("the limit narrows with the number of requests and never is nothing", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 }), (weights) => {
        const shares = toShares([], new Map(weights.map((w, i) => [`b${i}`, w])));
        const limits = [100, 1000, 10_000].map((n) => shareLimit(shares, n));
        expect(limits[0]).toBeGreaterThanOrEqual(limits[1]!);
        expect(limits[1]).toBeGreaterThanOrEqual(limits[2]!);
        expect(limits[2]).toBeGreaterThanOrEqual(1);
      }),
    );
  });
});

describe("the scene of every method", () => {
  for (const name of methodNames) {
    const method = catalog.methods.find((m) => m.name === name);
    test.skipIf(!method)(`${name}: its example, with weights 1 and 2 and quick checks`, () => {
      const scene = toScene(method!, sharpen(exampleOf(name)));
      expect(new Set(scene.weights.values())).toEqual(new Set([1, 2]));
      expect(allowedAfter(scene)).toBe(2000 + scene.memory);
      expect(scene.nameServer === null).toBe(method!.traits.arrival === "listen");
      expect(scene.origin).toMatch(/^http:\/\/[a-z0-9.]+$/);
    });
  }
});

describe("the judgement", () => {
  const scene = toScene(catalog.methods.find((m) => m.name === "proxy")!, sharpen(exampleOf("proxy")));
  const death: DeathResult = {
    ...countLosses([sent(0), sent(2500)], 100, 2000),
    ...{ victim: "backend1", allowed: 2000, avoidedAfter: 700, living: 3, broken: 0 },
  };
  const judge = (change: Partial<DeathResult>) =>
    failuresOf(scene, { tries: [], path: null, shares: null, death: { ...death, ...change } });

  test("finds nothing where all holds", () => expect(judge({})).toEqual([]));

  test("allows no loss where the request is held until the response is there", () => {
    expect(mayLose(scene)).toBe(false);
    expect(judge({ lost: 1 })).toEqual(["1 GETs were lost; none may be"]);
  });

  test("names each thing that does not hold", () => {
    expect(judge({ lostLate: 2 })).toEqual(["2 GETs sent later than 2.0 s were lost"]);
    expect(judge({ broken: 1 })).toEqual(["1 connections to living backends broke"]);
    expect(judge({ avoidedAfter: null })).toEqual(["the director never took backend1 out"]);
    expect(judge({ living: 0 })).toHaveLength(1);
    expect(judge({ sentLate: 0 })).toHaveLength(1);
  });
});
