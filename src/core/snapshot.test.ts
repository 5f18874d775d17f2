import { expect, test } from "bun:test";
import type { Backend } from "./backend.ts";
import { reportedLoad, type Snapshot } from "./snapshot.ts";

const snapshotOf = (...loads: (number | null)[]): Snapshot => ({
  service: "web",
  revision: 1,
  generation: 1,
  backends: loads.map((load, id): Backend => {
    return { id, address: "192.0.2.1", port: id + 1, weight: 1, state: "up", tier: 0, tags: [], load };
  }),
  eligible: loads.map((_, id) => id),
});

test("a backend that reports no load counts as the average of those that do, so it is not taken for idle", () => {
  const some = snapshotOf(0.2, null, 0.6);
  expect(some.backends.map((backend) => reportedLoad(some, backend))).toEqual([0.2, 0.4, 0.6]);
  expect(reportedLoad(some, undefined)).toBe(0.4);
  const none = snapshotOf(null, null);
  expect(none.backends.map((backend) => reportedLoad(none, backend))).toEqual([0, 0]);
});
