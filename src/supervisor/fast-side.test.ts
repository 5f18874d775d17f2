import { expect, test } from "bun:test";
import type { Doors, FastPath, Method, Running } from "../core/method.ts";
import type { Config, Revision, Service } from "../core/service.ts";
import { FastSide } from "./fast-side.ts";
import type { Entry } from "./member.ts";
import { CounterMemory } from "./memory.ts";

/** A fast path that fails at the revisions (by `served`) and at the ends that are named. */
function failing(failures: readonly (number | "remove")[]) {
  const done: string[] = [];
  const path: FastPath = {
    async follow({ revision }: Running) {
      if (failures.includes(revision)) throw new Error(`no map for ${revision}`);
      done.push(`follow ${revision}`);
    },
    changed() {},
    takeCounts() {},
    describe: () => ["fast"],
    async release() {
      done.push("release");
    },
    async remove() {
      if (failures.includes("remove")) throw new Error("the hook is busy");
      done.push("remove");
    },
  };
  const said: string[] = [];
  const method = { name: "dns", fastPath: async () => path } as unknown as Method;
  const doors = { log: (level: string, text: string) => said.push(`${level} ${text}`) } as unknown as Doors;
  const side = new FastSide([method], () => doors, new CounterMemory("test", 1));
  const entry = { service: { name: "names", method: "dns" } as Service } as Entry;
  const revision = { number: 1, seed: 1, epoch: 0, config: { settings: {}, geography: { places: {} } } };
  const follow = (served: number): void =>
    side.follow([entry], () => entry, revision as unknown as Revision & { config: Config }, served);
  /** Until all that was asked for is done. */
  const settled = (): Promise<void> => Bun.sleep(0);
  return { side, follow, settled, done, said };
}

test("a revision that a fast path cannot follow is told, leaves all to the workers, and the next one is followed", async () => {
  const { side, follow, settled, done, said } = failing([1]);
  follow(1);
  await settled();
  expect(side.troubles("dns")).toEqual([
    { code: "SLUICE_FAST_PATH", message: "what answers in the kernel for dns failed: no map for 1" },
  ]);
  expect(said).toEqual(["error what answers in the kernel for dns failed: no map for 1; the workers answer alone"]);
  expect(done).toEqual(["release"]);
  follow(2);
  await settled();
  expect(done).toEqual(["release", "follow 2"]);
  expect(side.troubles("dns")).toEqual([]);
  await side.remove();
  expect(done.at(-1)).toBe("remove");
});

test("a fast path that cannot be removed keeps nobody from ending", async () => {
  const { side, follow, settled, done, said } = failing(["remove"]);
  follow(1);
  await settled();
  await side.remove();
  expect(said).toEqual(["error what answers in the kernel for dns failed: the hook is busy; the workers answer alone"]);
  expect(done).toEqual(["follow 1", "release"]);
});
