import { expect, test } from "bun:test";
import type { Applier, Doors, Method } from "../core/method.ts";
import type { Config, Revision, Service } from "../core/service.ts";
import { KernelSide } from "./kernel-side.ts";
import { toSnapshot } from "./member.ts";

const config = { version: 1, services: [], settings: {}, geography: { places: {} } } as unknown as Config;
const revision: Revision = { number: 1, seed: 1, epoch: 1, config, bundle: null };

function entryOf(name: string) {
  const service = { name, method: "nat", check: null, backends: [], options: {} } as unknown as Service;
  return { service, members: [], since: 0, snapshot: toSnapshot(service, [], 1, 1) };
}

/** A side whose one applier writes down what it is to refresh, and refuses what has `bad` in it. */
async function sideWith(bad: string) {
  const calls: string[][] = [];
  const logged: string[] = [];
  const { promise: busy, resolve: free } = Promise.withResolvers<void>();
  const applier = {
    prepare: async () => ({ commit: async () => {}, abort: async () => {} }),
    async refresh(services: readonly { name: string }[]) {
      calls.push(services.map(({ name }) => name));
      if (calls.length === 1) await busy;
      if (services.some(({ name }) => name === bad)) throw new Error("refused");
    },
  } as unknown as Applier<unknown>;
  const method = {
    name: "nat",
    runs: "kernel",
    compile: ({ name }: Service) => ({ name }),
    control: async () => applier,
  } as unknown as Method;
  const doors = { log: (_level: string, message: string) => logged.push(message) } as unknown as Doors;
  const side = new KernelSide([method], () => doors);
  await side.prepare([entryOf("first")], revision);
  return { side, calls, logged, free };
}

test("refreshes that wait for their turn are one call, each service as it was asked for last", async () => {
  const { side, calls, free } = await sideWith("none");
  side.refresh(entryOf("first"), revision);
  await Bun.sleep(1);
  for (const name of ["a", "b", "a", "c"]) side.refresh(entryOf(name), revision);
  free();
  await side.idle();
  expect(calls).toEqual([["first"], ["a", "b", "c"]]);
});

test("a service that is refused costs no other its refresh, and is said", async () => {
  const { side, calls, logged, free } = await sideWith("b");
  free();
  for (const name of ["a", "b", "c"]) side.refresh(entryOf(name), revision);
  await side.idle();
  expect(calls).toEqual([["a", "b", "c"], ["a"], ["b"], ["c"]]);
  expect(logged).toEqual(["service b: refused"]);
});
