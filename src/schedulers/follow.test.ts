import { expect, test } from "bun:test";
import type { Backend } from "../core/backend.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { aBackend } from "../core/testing.ts";
import { createBalancer, eligibleSet } from "./follow.ts";
import leastConnections from "./least-connections.ts";
import maglev from "./maglev.ts";
import p2c from "./p2c.ts";
import roundRobin from "./round-robin.ts";

const backend = (id: number, weight = 1): Backend => aBackend(id, `10.0.0.${id}`, 80, { weight });
const snapshot = (generation: number, backends: Backend[], eligible = backends.map((b) => b.id)): Snapshot => ({
  service: "web",
  revision: 1,
  generation,
  backends,
  eligible,
});
const none = new Set<number>();
const env = (active: Record<number, number> = {}) => ({
  random: () => 0,
  now: () => 0,
  seed: 9,
  load: (id: number) => active[id] ?? 0,
});

test("picks speak in ids, tried ones are passed over, and only eligible ones are given", () => {
  const all = [backend(40), backend(7), backend(300), backend(9)];
  const balancer = createBalancer(roundRobin, {}, env(), snapshot(1, all, [7, 40, 300]));
  expect([1, 2, 3, 4].map(() => balancer.pick(0, none))).toEqual([7, 40, 300, 7]);
  expect(balancer.pick(0, new Set([40]))).toBe(300);
  expect(balancer.pick(0, new Set([7, 40, 300, 1234]))).toBe(-1);
  expect(balancer.backend(9)?.address).toBe("10.0.0.9");
  expect(balancer.backend(8)).toBeUndefined();
});

test("an update changes who is picked, and an empty set is -1", () => {
  const balancer = createBalancer(
    maglev,
    maglev.options.parse({ slots: 251 }),
    env(),
    snapshot(1, [backend(1), backend(2)]),
  );
  expect(balancer.order(5)).toHaveLength(2);
  balancer.update(snapshot(2, [backend(1), backend(2)], [2]));
  for (let key = 0; key < 100; key++) expect(balancer.pick(key, none)).toBe(2);
  balancer.update(snapshot(3, [backend(1), backend(2)], []));
  expect(balancer.pick(1, none)).toBe(-1);
  expect(balancer.order(1)).toEqual([]);
  expect(balancer.snapshot.generation).toBe(3);
});

test("load is asked by id", () => {
  const balancer = createBalancer(
    leastConnections,
    {},
    env({ 5: 3, 6: 1, 9: 2 }),
    snapshot(
      1,
      [5, 6, 9].map((id) => backend(id)),
    ),
  );
  expect(balancer.pick(0, none)).toBe(6);
  expect(balancer.order(0)).toEqual([6, 9, 5]);
  balancer.began(6);
  balancer.ended(77, "done");
});

test("a scheduler without an order still answers with all of them", () => {
  const balancer = createBalancer(
    p2c,
    {},
    env({ 5: 3 }),
    snapshot(
      1,
      [5, 6].map((id) => backend(id)),
    ),
  );
  expect([...balancer.order(0)].sort()).toEqual([5, 6]);
});

test("the eligible set is ascending, named by address and port, with weights of at least 1", () => {
  const redirected = { ...backend(2, 0), url: "https://a.example" };
  const set = eligibleSet(snapshot(1, [backend(3, 4), redirected, { ...backend(1), port: null }], [3, 2, 1, 99]));
  expect(set).toEqual({ ids: [1, 2, 3], names: ["10.0.0.1", "https://a.example", "10.0.0.3:80"], weights: [1, 1, 4] });
});
