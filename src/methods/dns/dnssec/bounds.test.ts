import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Type } from "../../../protocols/dns/numbers.ts";
import { parseMessage } from "../../../protocols/dns/testing.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "../testing.ts";
import { BoundedCache } from "./bounded-cache.ts";
import { type Asker, SignatureBudget, SignatureBudgets } from "./signature-budget.ts";

const entry = (tag: number) => ({ tag });

test("a stream of names that nobody asks for twice leaves what is asked for in the cache, which stays bounded", () => {
  const cache = new BoundedCache<{ tag: number }>(100);
  cache.set("kept", entry(1));
  for (let i = 0; i < 10_000; i++) {
    cache.set(`random-${i}`, entry(2));
    if (i % 50 === 0) expect(cache.get("kept")?.tag).toBe(1);
    expect(cache.size).toBeLessThanOrEqual(200);
  }
  expect(cache.get("random-0")).toBeUndefined();
  expect(cache.get("random-9999")?.tag).toBe(2);
});

test("a budget gives its rate, and no more than a twentieth of it at once", () => {
  let now = 0;
  const budget = new SignatureBudget(1000, () => now);
  const taken = (): number => {
    let count = 0;
    while (budget.take()) count++;
    return count;
  };
  expect(taken()).toBe(50);
  now = 10;
  expect(taken()).toBe(10);
  now = 60_000;
  expect(taken()).toBe(50);
});

describe("what may be signed is shared", () => {
  const asker = (address: readonly number[], proven = true): Asker => ({
    proven,
    address: { octets: Uint8Array.from(address), size: address.length },
  });
  const flooder = asker([198, 51, 100, 7]);

  /** A second in which somebody asks for far more than there is, and one network for 40; what each got. */
  function second(made: boolean, flood: (i: number) => Asker): { flood: number; quiet: number } {
    let now = 0;
    const budgets = new SignatureBudgets(1000, () => now, 7);
    const got = { flood: 0, quiet: 0 };
    const quiet = asker([192, 0, 2, 9]);
    for (let i = 0; i < 20_000; i++) {
      now = i / 20;
      if (budgets.take(made, flood(i))) got.flood++;
      if (i % 500 === 499 && budgets.take(made, quiet)) got.quiet++;
    }
    return got;
  }

  test("a network that floods leaves the others theirs, and may take what they leave", () => {
    const { flood, quiet } = second(true, () => flooder);
    expect(quiet).toBe(40);
    expect(flood).toBeGreaterThan(900);
    expect(flood).toBeLessThan(1100);
  });

  test("many addresses of one network are one", () => {
    expect(second(true, (i) => asker([198, 51, 100, i & 255])).quiet).toBe(40);
    const v6 = (i: number): number[] => [32, 1, 13, 184, 0, 0, 1, i & 255, ...Array(6).fill(i & 255), i >> 8, 1];
    expect(second(true, (i) => asker(v6(i))).quiet).toBe(40);
  });

  test("clients who may be forged cannot take what exists from those who are proven", () => {
    const { flood, quiet } = second(false, (i) => asker([i >> 8, i & 255, 1, 1], false));
    expect(quiet).toBe(40);
    expect(flood).toBeGreaterThan(3000);
  });
});

const folder = mkdtempSync(join(tmpdir(), "sluice-keys-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a signature that is to be made anew is good until it ends: it is given while none can be made", () => {
  let now = 1_800_000_000;
  const services = [aService("shop")];
  const snapshots = [aSnapshot("shop", [aBackend(1, "192.0.2.1")])];
  const dnssec = { keys: folder, validity: "4h", signatures: 1 };
  const server = aServer(services, snapshots, { zones: { "example.com": null }, dnssec }, {}, { clock: () => now });
  const signed = (): boolean =>
    parseMessage(server.raw(ask({ name: "shop.example.com", edns: 1232, dnssecOk: true }))).answers.some(
      ({ type }) => type === Type.RRSIG,
    );
  expect(signed()).toBe(true);
  now += 3 * 3600 + 60;
  server.room!.budgets.take = () => false;
  expect(signed()).toBe(true);
  now += 3600;
  expect(signed()).toBe(false);
});

test("what is kept of signatures does not grow with the sets they are of", () => {
  const services = [aService("wide", { names: ["*.example.com"], dns: { ttl: "30s" } })];
  const many = Array.from({ length: 60 }, (_, i) => aBackend(i, `192.0.2.${i + 1}`));
  const zones = { "example.com": null };
  const server = aServer(services, [aSnapshot("wide", many)], { zones, dnssec: { keys: folder } }, { tcp: true });
  const kept: number[] = [];
  const cache = server.room!.caches.made;
  const set = cache.set.bind(cache);
  cache.set = (key, value) => {
    kept.push(key.length);
    set(key, value);
  };
  server.raw(ask({ name: `${"x".repeat(60)}.example.com`, edns: 1232, dnssecOk: true }));
  expect(kept).toHaveLength(1);
  expect(kept[0]!).toBeLessThan(50);
});
