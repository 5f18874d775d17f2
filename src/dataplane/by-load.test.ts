import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { netnsMissing } from "../system/netns-testing.ts";
import { kernelCounts } from "./counts.ts";
import type { PlaneService } from "./plane-service.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench, mac } from "./testing/fixtures.ts";
import { ACK, frame, SYN, tcp } from "./testing/frames.ts";
import { xdpMissing } from "./testing/network.ts";
import { WEIGHTS_WAIT } from "./weight-step.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: weights by load: ${missing}`);
const VIP = "125.12.12.77";
const HOUR = 3_600_000;
const serviceOf = (loads: readonly (number | null)[], more: Partial<PlaneService> = {}): PlaneService => ({
  ...testService(
    "web",
    [{ address: VIP, port: 80, protocol: "tcp" }],
    loads.map((load, i) => ({ ...testBackend(i + 1, `125.12.12.${21 + i}`, null), load })),
  ),
  byLoad: true,
  ...more,
});

describe.skipIf(missing !== null)("weights by reported load", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.create("direct", serviceOf([null, null, null]));
  }, 60_000);
  afterAll(() => bench?.close());

  const send = (port: number, flags: number): number => {
    const packet = tcp({ source: "202.20.20.20", target: VIP }, { sourcePort: port, targetPort: 80 }, flags);
    return bench.run(frame(mac.gateway, mac.director, packet)).output[5]! - 20;
  };
  const ports = Array.from({ length: 600 }, (_, i) => 2000 + i);
  const sharesOf = (backends: readonly number[]): number[] =>
    [1, 2, 3].map((one) => backends.filter((backend) => backend === one).length / backends.length);
  const shown = (): number[] => {
    const { plane } = bench;
    return [
      ...kernelCounts(plane, [...plane.services.values()])
        .get("web")!
        .shares!.values(),
    ];
  };

  test("move in bounded steps until new flows go where there is room, and no flow moves", () => {
    const held = ports.slice(0, 200);
    const before = held.map((port) => send(port, ACK));
    for (const share of sharesOf(ports.map((port) => send(port, ACK)))) expect(share).toBeCloseTo(1 / 3, 1);
    const state = bench.plane.mustHave("direct", "web");
    bench.commit("direct", serviceOf([0.2, 0.2, 0.9]));
    expect(state.drifting).toBe(true);
    let time = performance.now();
    const pass = (ms: number): void => {
      time += ms;
      bench.plane.settleRound(time);
    };
    for (let round = 0; round < 60 && state.drifting; round++) {
      // A minute: reports are followed, and no window closes.
      pass(60_000);
      expect(state.slots.open / state.slots.words.length).toBeLessThanOrEqual(WEIGHTS_WAIT + 0.01);
      expect(held.map((port) => send(port, ACK))).toEqual(before);
    }
    for (let round = 0; round < 20 && (state.drifting || state.slots.open > 0); round++) pass(HOUR);
    expect(state.drifting).toBe(false);
    // Free parts 0.8, 0.8 and 0.125: 16, 16 and two or three sixteenths.
    const [, , busy] = sharesOf(ports.map((port) => send(port + 10_000, SYN)));
    expect(busy!).toBeLessThan(0.13);
    expect(busy!).toBeGreaterThan(0.02);
    expect(shown()[2]!).toBeCloseTo(3 / 35, 1);
    expect(shown().reduce((a, b) => a + b)).toBeCloseTo(1);
    expect(held.map((port) => send(port, ACK))).toEqual(before);
  }, 60_000);

  test("change the turns of a scheduler that remembers, at once for new flows", () => {
    bench.plane.commit("direct", []);
    const scheduler = { name: "weighted-round-robin", options: {} };
    bench.commit("direct", serviceOf([0.2, 0.2, 1], { scheduler }));
    const [first, second, third] = sharesOf(ports.slice(0, 340).map((port) => send(port + 20_000, SYN)));
    expect(first).toBeCloseTo(second!, 1);
    expect(third!).toBeLessThan(0.12);
    expect(third!).toBeGreaterThan(0.03);
  });

  test("are the written ones again when nobody asks for loads", () => {
    bench.plane.commit("direct", []);
    const { byLoad: _, ...plain } = serviceOf([0.2, 0.2, 1]);
    bench.commit("direct", plain);
    for (const share of sharesOf(ports.map((port) => send(port + 30_000, SYN)))) expect(share).toBeCloseTo(1 / 3, 1);
    expect(bench.plane.mustHave("direct", "web").shares).toBeNull();
  });
});
