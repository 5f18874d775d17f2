import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Applier } from "../core/method.ts";
import { netnsMissing } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import { control, Limit } from "./generated/layout.ts";
import { setWord } from "./memory.ts";
import type { PlaneService } from "./plane-service.ts";
import { sharedAt } from "./shared-plane.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { xdpMissing } from "./testing/network.ts";
import type { Client } from "./testing/programs.ts";
import { type RealServers, realAddress, startRealServers } from "./testing/real-servers.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: maps that are full: ${missing}`);
const VIP = "125.12.12.77";
const HELD = process.env.SLUICE_TEST_LONG ? 400 : 40;
const scheduled = { web: "maglev", even: "least-connections" } as const;
type Name = keyof typeof scheduled;
const ports = { web: 80, even: 81 } as const;
const names = ["web", "even"] as const;

describe.skipIf(missing !== null)("maps that are full, under connections", () => {
  let stage: RealServers;
  let applier: Applier<PlaneService>;
  const clients = new Map<Name, Client>();
  const held = new Map<Name, string[]>();
  let round = 0;

  const service = (name: Name, lasts: readonly number[]): PlaneService => ({
    ...testService(
      name,
      [{ address: VIP, port: ports[name], protocol: "tcp" }],
      lasts.map((last) => testBackend(last, realAddress(last), null)),
    ),
    scheduler: { name: scheduled[name], options: {} },
  });
  const two = names.map((name) => service(name, [20, 21]));
  const put = async (services: readonly PlaneService[]): Promise<string[]> => {
    const prepared = await applier.prepare(services);
    if (Array.isArray(prepared)) return prepared.map(({ path, message }) => `${path.join(".")} ${message}`.trim());
    await prepared.commit();
    return [];
  };
  const open = async (name: Name, lasts: readonly number[]): Promise<void> => {
    const made = await clients.get(name)!({ do: "open", address: VIP, port: ports[name], count: HELD });
    expect([...new Set(made)].sort()).toEqual(lasts.map((last) => `rs${last} ok`));
    held.set(name, [...(held.get(name) ?? []), ...made]);
  };
  const everybody = async (): Promise<void> => {
    for (const name of names)
      expect([name, ...(await clients.get(name)!({ do: "speak", round: round++ }))]).toEqual([
        name,
        ...held.get(name)!,
      ]);
  };
  const troubles = (name: Name): string[] => applier.troubles!(name).map(({ code }) => code);

  beforeAll(async () => {
    stage = await startRealServers(VIP, [20, 21, 22], Object.values(ports));
    applier = await createXdpApplier(stage.doors, "direct");
    for (const name of names) clients.set(name, await stage.crowd());
    expect(await put(two)).toEqual([]);
    for (const name of names) await open(name, [20, 21]);
  }, 60_000);
  afterAll(async () => {
    await applier?.remove();
    await stage?.close();
  });

  /** So many services of one backend, at ports of their own. */
  const more = (count: number, vips = 1): PlaneService[] =>
    Array.from({ length: count }, (_, i) =>
      testService(
        `more${i}`,
        Array.from({ length: vips }, (_, n) => ({ address: VIP, port: 1000 + i * vips + n, protocol: "tcp" as const })),
        [testBackend(1, realAddress(20), null)],
      ),
    );

  test("a revision that finds no room is refused by what is short, nothing is changed, and one that fits goes through", async () => {
    const beyond = Limit.MAX_LOCAL + 1;
    const backends = Array.from({ length: beyond }, (_, i) => testBackend(i, `10.${1 + (i >> 8)}.${i & 255}.9`, null));
    expect(await put([...two, ...more(Limit.MAX_SERVICES - 1)])).toEqual([
      expect.stringContaining("more than 1024 services"),
    ]);
    expect(await put([...two, { ...more(1)[0]!, backends }])).toEqual([
      expect.stringMatching(/^services.more0 .*more than 2048 backends in one service/),
    ]);
    expect(await put([...two, ...more(1, 28_672)])).toEqual([expect.stringContaining("these services have 28675")]);
    await everybody();
    expect(await put([...two, ...more(100)])).toEqual([]);
    await everybody();
    for (const name of names) await open(name, [20, 21]);
    expect(await put(two)).toEqual([]);
    await everybody();
  }, 120_000);

  test("a flow table without room is named for the service that lacked it; no connection breaks, and room is used once there is some", async () => {
    const { memory } = sharedAt(stage.doors.bpfDir)!.plane;
    expect(names.map(troubles)).toEqual([[], []]);
    // One bucket is left of all: four flows have a cell, whatever else is there.
    const setBuckets = (count: number): void => setWord(memory.control_words, 0, control.flowMask, count - 1);
    // Cells of before are not found by other numbers: to `even` their flows would be unknown, as after a time-out.
    const anew = async (): Promise<void> => {
      clients.set("even", await stage.crowd());
      held.delete("even");
      await open("even", [20, 21]);
    };
    setBuckets(1);
    await anew();
    expect(troubles("even")).toEqual(["SLUICE_FLOWS_FULL"]);
    expect(troubles("web")).toEqual([]);
    expect(await put([service("web", [20, 21, 22]), service("even", [20, 21])])).toEqual([]);
    await everybody();
    expect(troubles("web")).toEqual(["SLUICE_FLOWS_FULL"]);
    setBuckets(Limit.FLOW_BUCKETS);
    await anew();
    await open("web", [20, 21, 22]);
    await everybody();
  }, 120_000);
});
