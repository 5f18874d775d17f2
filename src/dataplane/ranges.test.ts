import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Listener, MOST_RANGES } from "../core/service.ts";
import { netnsMissing } from "../system/netns-testing.ts";
import { readVips } from "./arrivals.ts";
import { Limit } from "./generated/layout.ts";
import type { ForwardName } from "./plane-service.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench, mac } from "./testing/fixtures.ts";
import { ACK, checksumsHold, frame, tcp } from "./testing/frames.ts";
import { xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: ranges of ports: ${missing}`);
const VIP = "125.12.12.77";
const CLIENT = "202.20.20.20";

/** Service `i` has the backend whose address ends in 20 + i. */
const serviceOf = (i: number, ...listen: Listener[]) =>
  testService(`s${i}`, listen, [testBackend(1, `125.12.12.${20 + i}`, null)]);
const ports = (port: number, last?: number): Listener => ({
  address: VIP,
  port,
  ...(last === undefined ? {} : { last }),
  protocol: "tcp",
});

describe.skipIf(missing !== null)("services on one VIP, by single ports, ranges and all ports", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.create("direct", serviceOf(0, ports(1)));
  }, patience(60_000));
  afterAll(() => bench?.close());

  const start = (forward: ForwardName, services: ReturnType<typeof serviceOf>[]): void => {
    for (const other of ["direct", "nat"] as const) if (other !== forward) bench.plane.commit(other, []);
    bench.commit(forward, services);
  };
  const send = (port: number) =>
    bench.run(
      frame(
        mac.gateway,
        mac.director,
        tcp({ source: CLIENT, target: VIP }, { sourcePort: 4000, targetPort: port }, ACK),
      ),
    );
  /** Number of the service that took a packet to this port; null when nobody did. */
  const takenBy = (port: number): number | null => {
    const { verdict, output } = send(port);
    return verdict === "tx" ? output[5]! - 20 : null;
  };

  test("one port goes before a range, a range before all ports, whatever the order they are written in", () => {
    const service = [serviceOf(0, ports(1, 65_535)), serviceOf(1, ports(8000, 8100)), serviceOf(2, ports(8050))];
    for (const order of [service, [...service].reverse()]) {
      start("direct", order);
      expect([1, 7999, 8000, 8049, 8050, 8051, 8100, 8101, 65_535].map(takenBy)).toEqual([0, 0, 1, 1, 2, 1, 1, 0, 0]);
    }
    start("direct", service.slice(1));
    expect([7999, 8101].map(takenBy)).toEqual([null, null]);
    const found = readVips(bench.plane.memory).map(({ service: _, ...listener }) => listener);
    expect(found.sort((a, b) => a.port - b.port)).toEqual([ports(8000, 8100), ports(8050)]);
  });

  test("as many ranges as are allowed are each found, and what lies between them is nobody's", () => {
    expect(MOST_RANGES).toBe(Limit.RANGES);
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 65_535 }), { minLength: 2, maxLength: 2 * Limit.RANGES });
    const property = fc.property(
      cuts,
      fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 20 }),
      (given, asked) => {
        const sorted = [...given].sort((a, b) => a - b);
        const ranges = Array.from({ length: sorted.length >> 1 }, (_, i) => ports(sorted[2 * i]!, sorted[2 * i + 1]!));
        start(
          "direct",
          ranges.map((range, i) => serviceOf(i, range)),
        );
        for (const port of [...sorted, ...sorted.map((cut) => cut + 1), ...asked].filter((one) => one <= 65_535)) {
          const owner = ranges.findIndex((range) => range.port <= port && port <= range.last!);
          expect(takenBy(port)).toBe(owner < 0 ? null : owner);
        }
      },
    );
    fc.assert(property, { numRuns: 15 });
  });

  test("nat leaves the ports of a range as they are, there and back", () => {
    start("nat", [serviceOf(0, ports(1, 65_535)), serviceOf(1, ports(8000, 8100))]);
    const port16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
    for (const [port, service] of [
      [8000, 1],
      [8100, 1],
      [8101, 0],
      [22, 0],
    ] as const) {
      const { output } = send(port);
      expect([...output.subarray(30, 34), port16(output, 36)]).toEqual([125, 12, 12, 20 + service, port]);
      const answer = tcp(
        { source: `125.12.12.${20 + service}`, target: CLIENT },
        { sourcePort: port, targetPort: 4000 },
        ACK,
      );
      const back = bench.run(frame(mac.backend, mac.director, answer));
      expect(back.verdict).toBe("tx");
      expect([...back.output.subarray(26, 30), port16(back.output, 34)]).toEqual([125, 12, 12, 77, port]);
      expect(checksumsHold(back.output.subarray(14))).toBe(true);
    }
    // What is outside the range is the backend's own talk.
    const own = tcp({ source: "125.12.12.21", target: CLIENT }, { sourcePort: 9000, targetPort: 4000 }, ACK);
    expect(bench.run(frame(mac.backend, mac.director, own)).verdict).toBe("pass");
  });
});
