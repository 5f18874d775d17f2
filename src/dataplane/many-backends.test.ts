import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { netnsMissing } from "../system/netns-testing.ts";
import { Explainer } from "./explain.ts";
import { Limit, Slot } from "./generated/layout.ts";
import * as phases from "./phases.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench, mac } from "./testing/fixtures.ts";
import { ACK, frame, SYN, tcp } from "./testing/frames.ts";
import { xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: more backends than a brief byte can name: ${missing}`);
const VIP = "125.12.12.77";
const CLIENT = "202.20.20.20";
const addressOf = (i: number): string => `10.0.${i >> 8}.${i & 255}`;
const serviceOf = (count: number, from = 0) =>
  testService(
    "web",
    [{ address: VIP, port: 80, protocol: "tcp" }],
    Array.from({ length: count }, (_, i) => testBackend(from + i + 1, addressOf(from + i), null)),
  );

describe.skipIf(missing !== null)("of a service with more backends than a slot's brief byte can name", () => {
  const COUNT = 600;
  let bench: Bench;
  let explainer: Explainer;
  beforeAll(async () => {
    bench = await Bench.create("tunnel", serviceOf(COUNT));
    explainer = Explainer.open(bench.plane.kernel.pins.root)!;
  }, patience(60_000));
  afterAll(() => {
    explainer?.close();
    bench?.close();
  });

  const ports = Array.from({ length: 200 }, (_, i) => 40_000 + i);
  /** The destination of the outer header. */
  const send = (port: number, flags: number): string => {
    const packet = tcp({ source: CLIENT, target: VIP }, { sourcePort: port, targetPort: 80 }, flags);
    return bench
      .run(frame(mac.gateway, mac.director, packet))
      .output.subarray(30, 34)
      .join(".");
  };
  /** Whose slot the flow has, by the supervisor's own words; null: nobody's. */
  const ownerOf = (port: number): { local: number; address: string } | null => {
    const question = { from: { address: CLIENT, port }, to: { address: VIP, port: 80 }, protocol: "tcp" as const };
    const { slot } = bench.netns.inside(() => explainer.ask({ ...question, begins: true }))!;
    const state = bench.plane.mustHave("tunnel", "web");
    const local = phases.currentOf(state.slots.words[slot]!);
    return local === phases.NONE ? null : { local, address: state.locals.get(local)!.address };
  };

  test("every settled slot's packets go to its backend, by the short way and by the long one", () => {
    for (const way of ["short", "long"]) {
      const locals = ports.map((port) => {
        if (way === "long") bench.takeLongWay();
        const owner = ownerOf(port)!;
        expect(send(port, ACK)).toBe(owner.address);
        return owner.local;
      });
      expect(Math.min(...locals)).toBeLessThan(Slot.SLOT_WIDE);
      expect(Math.max(...locals)).toBeGreaterThan(0xff);
    }
  });

  test("flows of before stay where they are when all backends change, and new ones go to the others", () => {
    const before = new Map(ports.map((port) => [port, ownerOf(port)!.address]));
    bench.commit("tunnel", serviceOf(COUNT, COUNT));
    for (const [port, address] of before) {
      expect(send(port, ACK)).toBe(address);
      const { local, address: next } = ownerOf(port)!;
      expect(local).toBeGreaterThanOrEqual(COUNT);
      expect(send(port + 1000, SYN)).toBe(ownerOf(port + 1000)!.address);
      expect(next).not.toBe(address);
    }
  });

  test("as many as there may be have numbers, and nobody is not one of them", () => {
    const most = Limit.MAX_LOCAL - 1;
    expect(phases.NONE).toBeGreaterThan(most);
    const slots = phases.createSlots(1);
    phases.assign(slots, Uint16Array.of(most));
    expect(phases.currentOf(slots.words[0]!)).toBe(most);
    phases.assign(slots, Uint16Array.of(phases.NONE));
    expect(phases.currentOf(slots.words[0]!)).toBe(phases.NONE);
  });
});
