import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Applier } from "../core/method.ts";
import { netnsMissing } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import type { PlaneService } from "./plane-service.ts";
import { sharedAt } from "./shared-plane.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { xdpMissing } from "./testing/network.ts";
import type { Client } from "./testing/programs.ts";
import { type RealServers, realAddress, startRealServers } from "./testing/real-servers.ts";
import { WEIGHTS_WAIT } from "./weight-step.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: weights that never rest: ${missing}`);
const LONG = process.env.SLUICE_TEST_LONG === "1";
const VIP = "125.12.12.77";
const lasts = [20, 21, 22, 23];
/** Changes, one a second; and connections. */
const [CHANGES, HELD] = LONG ? [60, 400] : [8, 80];

describe.skipIf(missing !== null)("weights that never rest", () => {
  let stage: RealServers;
  let applier: Applier<PlaneService>;
  let client: Client;

  beforeAll(async () => {
    stage = await startRealServers(VIP, lasts, [80]);
    applier = await createXdpApplier(stage.doors, "direct");
    client = await stage.crowd();
  }, 60_000);
  afterAll(async () => {
    await applier?.remove();
    await stage?.close();
  });

  /** By last number of the address. */
  const serviceOf = (weights: readonly number[], loads: readonly (number | null)[]): PlaneService => ({
    ...testService(
      "web",
      [{ address: VIP, port: 80, protocol: "tcp" }],
      lasts.map((last, i) => ({
        ...testBackend(last, realAddress(last), null),
        weight: weights[i]!,
        load: loads[i]!,
      })),
    ),
    byLoad: true,
    // Windows close while this runs.
    idle: { tcp: 2000, udp: 1000 },
  });

  test("agents that say something else each second break no connection, and a quarter of the slots is open at most", async () => {
    const even = lasts.map(() => 100);
    const prepared = await applier.prepare([
      serviceOf(
        even,
        even.map(() => null),
      ),
    ]);
    if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
    await prepared.commit();
    const held = await client({ do: "open", address: VIP, port: 80, count: HELD });
    expect(held.filter((text) => !text.endsWith(" ok"))).toEqual([]);
    let over = false;
    const talk = (async () => {
      for (let round = 0; ; round++) {
        const told = await client({ do: "speak", round });
        if (over || told.some((text, i) => text !== held[i])) return told;
      }
    })();
    const state = sharedAt(stage.doors.bpfDir)!.plane.mustHave("direct", "web");
    const open: number[] = [];
    const before = process.cpuUsage();
    for (let i = 0; i < CHANGES; i++) {
      // From one end to the other, and everything between.
      const weights = lasts.map((_, n) => 1 + ((i * 37 + n * 61) % 100));
      const loads = lasts.map((_, n) => ((i * 29 + n * 53) % 100) / 100);
      await applier.refresh!([serviceOf(weights, loads)]);
      for (let look = 0; look < 4; look++) {
        open.push(state.slots.open / state.slots.words.length);
        await Bun.sleep(250);
      }
    }
    const { user, system } = process.cpuUsage(before);
    over = true;
    expect(await talk).toEqual(held);
    expect(Math.max(...open)).toBeLessThanOrEqual(WEIGHTS_WAIT);
    expect(Math.max(...open)).toBeGreaterThan(0);
    if (LONG)
      console.error(
        `${CHANGES} changes of weights and loads, ${HELD} connections: at most ${(100 * Math.max(...open)).toFixed(1)} % of slots open; ${((user + system) / 1000 / CHANGES).toFixed(0)} ms of CPU a second`,
      );
  }, 180_000);
});
