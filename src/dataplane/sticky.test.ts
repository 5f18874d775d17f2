import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { netnsMissing } from "../system/netns-testing.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench, mac } from "./testing/fixtures.ts";
import { ACK, frame, SYN, tcp } from "./testing/frames.ts";
import { xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: stickiness by source: ${missing}`);
const VIP = "125.12.12.77";
const VIP6 = "2001:db8:12::77";

const serviceOf = (sticky: { source: number; source6: number } | undefined, ids = [1, 2, 3, 4, 5]) => ({
  ...testService(
    "web",
    [VIP, VIP6].map((address) => ({ address, port: 80, protocol: "tcp" as const })),
    ids.map((id) => testBackend(id, `125.12.12.${20 + id}`, null)),
  ),
  slots: 1021,
  ...(sticky ? { sticky } : {}),
});

describe.skipIf(missing !== null)("stickiness by source", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.create("direct", serviceOf(undefined));
  }, patience(60_000));
  afterAll(() => bench?.close());
  const send = (source: string, port: number, flags: number, sequence = 5): number => {
    const target = source.includes(":") ? VIP6 : VIP;
    const packet = tcp({ source, target }, { sourcePort: port, targetPort: 80 }, flags, sequence);
    return bench.run(frame(mac.gateway, mac.director, packet)).output[5]! - 20;
  };
  const restart = (...args: Parameters<typeof serviceOf>): void => {
    bench.plane.commit("direct", []);
    bench.commit("direct", serviceOf(...args));
  };
  const distinct = (sources: readonly string[]): number => new Set(sources.map((s, i) => send(s, 1000 + i, SYN))).size;
  const hosts = (prefix: string): string[] => Array.from({ length: 40 }, (_, i) => `${prefix}${i + 1}`);

  test("a network has one backend, networks are spread, in both families", () => {
    restart({ source: 24, source6: 48 });
    expect(distinct(hosts("202.20.20."))).toBe(1);
    expect(distinct(hosts("202.20.").map((net) => `${net}.9`))).toBeGreaterThan(2);
    expect(distinct(hosts("2001:db8:20:").map((net) => `${net}::9`))).toBe(1);
    expect(distinct(hosts("2001:db8:").map((net) => `${net}::9`))).toBeGreaterThan(2);
    restart({ source: 32, source6: 128 });
    expect(distinct(hosts("202.20.20."))).toBeGreaterThan(2);
    expect(distinct(new Array(40).fill("202.20.20.9"))).toBe(1);
  });

  test("each flow of a client has a cell of its own: a change moves its new flows and none of the old ones", () => {
    restart({ source: 24, source6: 64 });
    const clients = hosts("202.20.").map((net) => `${net}.9`);
    const flows = clients.flatMap((source) => [1, 2, 3].map((i) => ({ source, port: 6000 + i })));
    const before = flows.map(({ source, port }) => send(source, port, ACK, 0x7000_0000));
    bench.commit("direct", serviceOf({ source: 24, source6: 64 }, [2, 3, 4, 5, 6]));
    const fresh = clients.map((source) => send(source, 7000, SYN, 99));
    for (const backend of fresh) expect(backend).not.toBe(1);
    expect(flows.map(({ source, port }) => send(source, port, ACK, 0x7000_0001))).toEqual(before);
    // And the new one goes on beside them.
    expect(clients.map((source) => send(source, 7000, ACK, 100))).toEqual(fresh);
    expect(flows.map(({ source, port }) => send(source, port, ACK, 0x7000_0002))).toEqual(before);
  });
});
