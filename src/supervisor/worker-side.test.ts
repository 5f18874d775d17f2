import { expect, test } from "bun:test";
import { catalog } from "../catalog.ts";
import type { Revision, Service } from "../core/service.ts";
import type { GenerationEvents } from "./generation.ts";
import type { Entry } from "./member.ts";
import { WorkerSide } from "./worker-side.ts";

test("services for which there is no room to count are named, before anything is started for the others", async () => {
  const side = new WorkerSide("test", catalog.methods, 1, {} as GenerationEvents);
  const entries = Array.from({ length: 8000 }, (_, i): Entry => {
    const service = { name: `s${i}`, method: "redirect", listen: [], names: [], options: {} } as unknown as Service;
    return { service, members: [] } as unknown as Entry;
  });
  const config = { settings: {}, workers: 1, geography: { places: {} } };
  const problems = await side.prepare(entries, { number: 1, config } as unknown as Revision, 16);
  if (!Array.isArray(problems)) throw new Error("all found room");
  expect(problems.length).toBeGreaterThan(0);
  expect(problems.length).toBeLessThan(1000);
  expect(problems.at(-1)).toMatchObject({ code: "SLUICE_COUNTER_MEMORY", path: ["services", "s7999"] });
  expect(side.workers).toBe(0);
  side.spare.stop();
});
