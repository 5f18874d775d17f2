import { expect, test } from "bun:test";
import { catalog } from "../catalog.ts";
import type { Config, Service } from "../core/service.ts";
import { unknownCounts } from "../observe/cells.ts";
import { Book } from "./book.ts";
import { lookUp } from "./status.ts";
import type { Supervisor } from "./supervisor.ts";

test("what a fast path has to complain of is a trouble; a service that failed and is probed before it is tried again is shown once: two series of one name spoil a scrape", async () => {
  const service = (name: string): Service => ({
    name,
    method: "proxy",
    listen: [],
    names: [],
    scheduler: { name: "random", options: {} },
    backends: [{ address: "10.0.0.1", port: 80, weight: 1, tier: 0, tags: [], admin: "ready" }],
    check: null,
    nearest: false,
    options: {},
  });
  const config = { services: [service("web"), service("shop")] } as Config;
  const book = new Book({});
  book.commit(book.stage(config, 1));
  const failed = { code: "SLUICE_FAST_PATH" as const, message: "no map" };
  const supervisor = {
    book,
    failed: [{ service: "shop", problem: { code: "SLUICE_BIND" } }],
    revision: { number: 1, config },
    started: 0,
    role: "active",
    fast: { collect() {}, describe: () => [], troubles: () => [failed] },
    kernel: { counts: async () => new Map(), applierOf: () => undefined },
    workers: {
      troubles: () => [],
      workers: 1,
      spare: { ready: false },
      memory: { counts: unknownCounts },
      secrets: { describe: () => [] },
    },
    groups: { of: () => [] },
  } as unknown as Supervisor;
  const { services } = await lookUp(supervisor, catalog, "main", "/sluice.yaml");
  expect([...services].map(({ name, state, troubles }) => [name, state, troubles])).toEqual([
    ["web", "serving", [failed]],
    ["shop", "failed", []],
  ]);
});
