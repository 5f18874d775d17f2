import { expect, test } from "bun:test";
import type { Running } from "../../../core/method.ts";
import { aService, aSnapshot, someGeography, someSettings } from "../testing.ts";
import { othersServed } from "./settings.ts";

const running = (names: string[], settings: object = {}): Running => ({
  services: names.map((name) => aService(name)),
  snapshot: (name) => aSnapshot(name, []),
  settings: someSettings(settings),
  geography: someGeography(),
  revision: 1,
  epoch: 0,
  seed: 1,
});

test("a name, a record or a setting that comes or goes makes what is held here stale; backends and health do not", () => {
  const before = running(["shop", "other"], { zones: { "example.com": { records: ["a A 192.0.2.1"] } } });
  expect(othersServed(before, { ...before, revision: 2 })).toBe(false);
  expect(othersServed(before, { ...before, services: before.services.slice(1) })).toBe(true);
  expect(othersServed(before, { ...before, services: running(["shop", "else"]).services })).toBe(true);
  expect(othersServed(before, { ...before, settings: someSettings() })).toBe(true);
});
