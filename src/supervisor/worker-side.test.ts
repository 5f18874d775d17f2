import { expect, test } from "bun:test";
import { catalog } from "../catalog.ts";
import type { Listener, Revision, Service } from "../core/service.ts";
import type { GenerationEvents } from "./generation.ts";
import type { Entry } from "./member.ts";
import { WorkerSide } from "./worker-side.ts";

/** `count` entries of services without sockets of their own. */
const entriesOf = (count: number): Entry[] =>
  Array.from({ length: count }, (_, i): Entry => {
    const service = { name: `s${i}`, method: "redirect", listen: [], names: [], options: {} } as unknown as Service;
    return { service, members: [] } as unknown as Entry;
  });

const revisionOf = (workers: number): Revision =>
  ({ number: 1, config: { settings: {}, workers, geography: { places: {} } } }) as unknown as Revision;

test("more workers than there was room made for at the start are refused, with what to do, and none is started", async () => {
  const side = new WorkerSide("test", catalog.methods, 1, {} as GenerationEvents);
  const problems = await side.prepare(entriesOf(1), revisionOf(9), 16);
  expect(problems).toEqual([
    expect.objectContaining({
      code: "SLUICE_WORKER_START",
      path: ["workers"],
      message: expect.stringContaining("9 workers are more than the 8 that"),
      hint: expect.stringContaining("Restart the daemon"),
    }),
  ]);
  expect(side.workers).toBe(0);
  side.spare.stop();
});

test("services for which there is no room to count are named, before anything is started for the others", async () => {
  const side = new WorkerSide("test", catalog.methods, 1, {} as GenerationEvents);
  const problems = await side.prepare(entriesOf(8000), revisionOf(1), 16);
  if (!Array.isArray(problems)) throw new Error("all found room");
  expect(problems.length).toBeGreaterThan(0);
  expect(problems.length).toBeLessThan(1000);
  expect(problems.at(-1)).toMatchObject({ code: "SLUICE_COUNTER_MEMORY", path: ["services", "s7999"] });
  expect(side.workers).toBe(0);
  side.spare.stop();
});

test("when the last service that needs workers has gone nobody listens in its place: clients are refused, not left to wait", async () => {
  const side = new WorkerSide("test", catalog.methods, 1, {} as GenerationEvents);
  const listener: Listener = { address: "127.0.0.1", port: 0, protocol: "tcp" };
  side.sockets.prepare([listener], 1);
  expect(side.sockets.of(listener, 0, 1)).toHaveLength(1);
  const prepared = await side.prepare([], revisionOf(1), 16);
  if (Array.isArray(prepared)) throw new Error(prepared[0]!.message);
  prepared.commit();
  expect(side.sockets.of(listener, 0, 1)).toEqual([]);
  side.spare.stop();
});
