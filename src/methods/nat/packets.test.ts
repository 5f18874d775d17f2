import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { testBackend, testService } from "../../dataplane/testing/doors.ts";
import { Bench, mac } from "../../dataplane/testing/fixtures.ts";
import { ACK, checksumsHold, frame, tcp, udp } from "../../dataplane/testing/frames.ts";
import { xdpMissing } from "../../dataplane/testing/network.ts";
import { passThrough } from "../../dataplane/testing/pass-through.ts";
import { patience } from "../../dataplane/testing/patience.ts";
import { runFixture } from "../../dataplane/testing/run-fixtures.ts";
import { netnsMissing } from "../../system/netns-testing.ts";
import {
  NARROW,
  narrowPackets,
  narrowPackets6,
  packets,
  packets6,
  packetsOfOtherWays,
  real,
  real6,
  vip,
  vip6,
} from "./packets.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: packets of nat: ${missing}`);
const tcpVip = { address: vip, port: 80, protocol: "tcp" as const };
const udpVip = { address: vip, port: 80, protocol: "udp" as const };

describe.skipIf(missing !== null)("packets of nat", () => {
  let bench: Bench;
  const service = testService("web", [tcpVip, udpVip], [testBackend(1, real.address, real.port)]);
  beforeAll(async () => {
    bench = await Bench.create("nat", service);
    bench.netns.sh(
      "ip route add 203.0.113.0/24 via 125.12.12.1 mtu lock 1000; ip route add 203.0.114.0/24 via 125.12.12.9",
    );
  }, patience(60_000));
  afterAll(() => bench?.close());

  for (const fixture of [...packets, ...packetsOfOtherWays])
    test(fixture.name, () => runFixture(bench, "nat", "web", fixture));

  for (const fixture of narrowPackets)
    test(fixture.name, () => {
      bench.commit("nat", service, NARROW);
      runFixture(bench, "nat", "web", fixture);
      bench.commit("nat", service);
    });

  test("whatever a packet holds, its checksums hold after the rewriting, both ways", () => {
    const octet = fc.integer({ min: 1, max: 223 });
    const parts = fc.record({
      octets: fc.tuple(octet, octet, octet, octet),
      port: fc.integer({ min: 1, max: 65_535 }),
      data: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 }),
      sequence: fc.nat(),
      datagram: fc.boolean(),
    });
    const property = fc.property(parts, ({ octets, port, data, sequence, datagram }) => {
      const there = { source: octets.join("."), target: vip };
      const back = { source: real.address, target: "202.20.20.20" };
      const make = (ip: typeof there, sourcePort: number, targetPort: number) =>
        datagram ? udp(ip, { sourcePort, targetPort }, data) : tcp(ip, { sourcePort, targetPort }, ACK, sequence, data);
      for (const packet of [make(there, port, 80), make(back, real.port, port)]) {
        const { verdict, output } = bench.run(frame(mac.gateway, mac.director, packet));
        expect(verdict).toBe("tx");
        expect(checksumsHold(output.subarray(14))).toBe(true);
      }
    });
    fc.assert(property, { numRuns: 300 });
  });
});

describe.skipIf(missing !== null)("packets that nat must not touch", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.create("nat", testService("web", [tcpVip], [testBackend(1, real.address, real.port)]));
  }, patience(60_000));
  afterAll(() => bench?.close());

  for (const fixture of passThrough(vip)) test(fixture.name, () => runFixture(bench, "nat", "web", fixture));
});

describe.skipIf(missing !== null)("packets of nat over IPv6", () => {
  let bench: Bench;
  const vips = [tcpVip, udpVip].map((one) => ({ ...one, address: vip6 }));
  const service = testService("web", vips, [testBackend(1, real6.address, real6.port)]);
  beforeAll(async () => {
    bench = await Bench.create("nat", service);
  }, patience(60_000));
  afterAll(() => bench?.close());

  for (const fixture of narrowPackets6)
    test(fixture.name, () => {
      bench.commit("nat", service, NARROW);
      runFixture(bench, "nat", "web", fixture);
      bench.commit("nat", service);
    });

  for (const fixture of [...packets6, ...passThrough(vip)])
    test(fixture.name, () => runFixture(bench, "nat", "web", fixture));
});
