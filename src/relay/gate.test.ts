import { describe, expect, test } from "bun:test";
import type { Backend } from "../core/backend.ts";
import type { Balancer } from "../core/method.ts";
import { eligibleIds, type Snapshot } from "../core/snapshot.ts";
import { FULL, Gate, NONE } from "./gate.ts";
import { aBackend } from "./testing.ts";
import type { Wheel } from "./wheel.ts";

/** A gate of one place a backend, and a scheduler that takes the first that has not been tried. `full`: who has no place. */
function aGate(parts: Partial<Backend>[], full: number[]) {
  const backends = parts.map((part, id) => aBackend(id, 80, part));
  const snapshot: Snapshot = { service: "a", revision: 1, generation: 1, backends, eligible: eligibleIds(backends) };
  const asked: number[][] = [];
  const balancer = {
    snapshot,
    pick(_key: number, tried: ReadonlySet<number>) {
      asked.push([...tried]);
      return snapshot.eligible.find((id) => !tried.has(id)) ?? NONE;
    },
  } as unknown as Balancer;
  const rules = { perBackend: 1, queueSize: 1, queueTimeout: 1, retryShare: 0, retryLeast: 0 };
  const cells = { add() {}, activeEverywhere: (id: number) => (full.includes(id) ? 1 : 0), queuedEverywhere: () => 0 };
  const gate = new Gate(rules, cells, {} as Wheel);
  const pick = (...tried: number[]): number => gate.pick(balancer, 0, new Set(tried));
  const hasOther = (id: number, ...tried: number[]): boolean => gate.hasOther(balancer, id, new Set(tried));
  return { pick, hasOther, asked };
}

describe("whom a gate picks", () => {
  test("the scheduler's choices in turn, then any that has room, as long as there is one", () => {
    const eight = Array<object>(8).fill({});
    expect(aGate(eight, []).pick()).toBe(0);
    const { pick, asked } = aGate(eight, [0, 1, 2]);
    expect(pick()).toBe(3);
    expect(asked).toEqual([[], [0], [0, 1], [0, 1, 2]]);
    expect(aGate(eight, [0, 1, 2, 3, 4, 5, 6]).pick()).toBe(7);
    expect(aGate(eight, [0, 1, 2, 3, 4, 5, 6, 7]).pick()).toBe(FULL);
    expect(aGate(eight, [1, 2, 3, 4, 5, 6, 7]).pick(0)).toBe(FULL);
    expect(aGate([{}, {}], [0, 1]).pick()).toBe(FULL);
    expect(aGate([{ state: "down" }], []).pick()).toBe(NONE);
  });

  test("when all of the tier have failed: the nearest tier that serves, has weight and room", () => {
    const tiers: Partial<Backend>[] = [{}, { tier: 3 }, { tier: 2 }, { tier: 2 }, { tier: 1, weight: 0 }];
    expect(aGate(tiers, []).pick(0)).toBe(2);
    expect(aGate(tiers, [2]).pick(0)).toBe(3);
    expect(aGate(tiers, []).pick(0, 2)).toBe(3);
    expect(aGate(tiers, [2, 3]).pick(0)).toBe(1);
    expect(aGate(tiers, [1, 2, 3]).pick(0)).toBe(NONE);
    expect(aGate([{}, { tier: 1, state: "draining" }], []).pick(0)).toBe(NONE);
  });

  test("there is another where a pick would find one, and only then", () => {
    const two: Partial<Backend>[] = [{}, {}, { tier: 1 }];
    expect(aGate(two, []).hasOther(0)).toBe(true);
    // The other of the tier is full: the request would have to wait for it, and another tier is not asked.
    expect(aGate(two, [1]).hasOther(0)).toBe(false);
    expect(aGate(two, []).hasOther(0, 1)).toBe(true);
    expect(aGate(two, [2]).hasOther(0, 1)).toBe(false);
    expect(aGate([{}, { tier: 1, weight: 0 }, { tier: 1, state: "down" }], []).hasOther(0)).toBe(false);
    expect(aGate([{}], []).hasOther(0)).toBe(false);
  });
});

/** A gate at which requests wait; `free`: the backend that `seek` finds. */
function aQueue() {
  const world = { free: FULL as number, queued: 0, sets: 0, gone: [] as string[] };
  const rules = { perBackend: 1, queueSize: 9, queueTimeout: 1, retryShare: 0, retryLeast: 0 };
  const cells = {
    add(_row: number, _cell: unknown, by: number) {
      world.queued += by;
    },
    activeEverywhere: () => 1,
    queuedEverywhere: () => world.queued,
  };
  const wheel = {
    set(item: { deadline: number }, after: number) {
      item.deadline = after;
      world.sets++;
    },
  };
  const gate = new Gate(rules, cells as never, wheel as unknown as Wheel);
  const waiter = (name: string, owner: number, again = false, seek = () => world.free) => ({
    owner,
    again,
    seek,
    proceed: (backend: number) => void world.gone.push(`${name} ${backend}`),
  });
  return { gate, waiter, world };
}

describe("those who wait at a gate", () => {
  test("go as soon as a place is free, those first that have failed elsewhere, and clients in turn", async () => {
    const { gate, waiter, world } = aQueue();
    const stuck = waiter("stuck", 3, true, () => FULL);
    const all = [waiter("a1", 1), waiter("a2", 1), waiter("b1", 2), waiter("again", 1, true), stuck];
    for (const one of all) expect(gate.enqueue(one)).toBe(true);
    expect([world.queued, world.sets]).toEqual([5, 1]);
    gate.freed();
    await Promise.resolve();
    expect([world.gone, gate.isQueued]).toEqual([[], true]);
    world.free = 7;
    gate.freed();
    gate.freed();
    expect(world.gone).toEqual([]); // after the present work
    await Promise.resolve();
    expect(world.gone).toEqual(["again 7", "a1 7", "b1 7", "a2 7"]);
    expect([world.queued, gate.isQueued]).toEqual([1, false]);
    gate.leave(all[0]!);
    expect(world.queued).toBe(1);
    gate.leave(stuck);
    expect(world.queued).toBe(0);
  });

  test("are looked at again after a while, as long as somebody waits: another worker's request may be over", () => {
    const { gate, waiter, world } = aQueue();
    for (const again of [true, false]) {
      world.free = FULL;
      world.gone = [];
      gate.deadline = Number.POSITIVE_INFINITY;
      gate.enqueue(waiter("a", 1, again));
      const { sets } = world;
      gate.expired();
      expect([world.gone, world.sets]).toEqual([[], sets + 1]);
      world.free = 4;
      gate.expired();
      expect([world.gone, world.sets]).toEqual([["a 4"], sets + 1]);
    }
  });
});
