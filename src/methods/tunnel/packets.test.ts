import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { testBackend, testService } from "../../dataplane/testing/doors.ts";
import { Bench, mac } from "../../dataplane/testing/fixtures.ts";
import { checksumsHold, frame, SYN, tcp, udp } from "../../dataplane/testing/frames.ts";
import { xdpMissing } from "../../dataplane/testing/network.ts";
import { passThrough } from "../../dataplane/testing/pass-through.ts";
import { runFixture } from "../../dataplane/testing/run-fixtures.ts";
import { netnsMissing } from "../../system/netns-testing.ts";
import { packet4in6, packets, packets6in4, packetsIn6, packetsInGue, real, real6, vip, vip6 } from "./packets.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: packets of tunnel: ${missing}`);
const vips = [
  { address: vip, port: 80, protocol: "tcp" as const },
  { address: vip, port: 53, protocol: "udp" as const },
  { address: vip6, port: 80, protocol: "tcp" as const },
];

describe.skipIf(missing !== null)("packets of tunnel", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.create("tunnel", testService("web", vips, [testBackend(1, real, null)]));
  }, 60_000);
  afterAll(() => bench?.close());

  for (const fixture of [...packets, ...packets6in4, ...passThrough(vip)])
    test(fixture.name, () => runFixture(bench, "tunnel", "web", fixture));

  test("what may be fragmented gets an identification of its own outside", () => {
    const packet = udp({ source: "202.20.20.20", target: vip }, { sourcePort: 1, targetPort: 53 }, [1, 2, 3]);
    const ids = new Set<number>();
    for (let i = 0; i < 8; i++) {
      const { verdict, output } = bench.run(frame(mac.gateway, mac.director, packet));
      expect(verdict).toBe("tx");
      expect(checksumsHold(output.subarray(14))).toBe(true);
      expect(output[20]).toBe(0);
      ids.add((output[18]! << 8) | output[19]!);
    }
    expect(ids.size).toBeGreaterThan(1);
  });
});

/** The flow label of what leaves for a packet. */
const label = (output: Uint8Array): number => ((output[15]! & 15) << 16) | (output[16]! << 8) | output[17]!;

describe.skipIf(missing !== null)("packets of tunnel to IPv6", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.create("tunnel", testService("web", vips, [testBackend(1, real6, null)]));
  }, 60_000);
  afterAll(() => bench?.close());

  for (const [i, { name }] of packetsIn6(0).entries())
    test(name, () =>
      runFixture(bench, "tunnel", "web", packetsIn6(label(bench.run(packetsIn6(0)[0]!.input).output))[i]!),
    );

  test("IPv4 travels in IPv6", () => {
    const flow = label(bench.run(packet4in6(0).input).output);
    runFixture(bench, "tunnel", "web", packet4in6(flow));
    const labels = [1, 2, 3, 4].map((sourcePort) => {
      const packet = udp({ source: "202.20.20.20", target: vip }, { sourcePort, targetPort: 53 }, []);
      return label(bench.run(frame(mac.gateway, mac.director, packet)).output);
    });
    expect(new Set([flow, ...labels]).size).toBeGreaterThan(3);
  });
});

describe.skipIf(missing !== null)("packets of tunnel with a network of outer sources", () => {
  let bench: Bench;
  const service = testService("web", vips, [testBackend(1, real, null)]);
  const commit = (outerSource?: string): void =>
    bench.commit("tunnel", { ...service, ...(outerSource ? { outerSource } : {}) });
  beforeAll(async () => {
    bench = await Bench.create("tunnel", { ...service, outerSource: "172.16.64.0/18" });
  }, 60_000);
  afterAll(() => bench?.close());

  const outerOf = (sourcePort: number): string => {
    const packet = tcp({ source: "202.20.20.20", target: vip }, { sourcePort, targetPort: 80 }, SYN);
    const { verdict, output } = bench.run(frame(mac.gateway, mac.director, packet));
    expect(verdict).toBe("tx");
    expect(checksumsHold(output.subarray(14))).toBe(true);
    expect([...output.subarray(34)]).toEqual(packet);
    return output.subarray(26, 30).join(".");
  };
  const ports = Array.from({ length: 200 }, (_, i) => 1000 + i);

  test("each flow has an address of the network, and keeps it", () => {
    commit("172.16.64.0/18");
    const first = ports.map(outerOf);
    for (const address of first) {
      const [a, b, c] = address.split(".").map(Number);
      expect([a, b, c! & 0xc0]).toEqual([172, 16, 0x40]);
    }
    // 200 flows on 16,384 addresses: one pair alike is to be expected.
    expect(new Set(first).size).toBeGreaterThan(190);
    // All host bits vary: also the two lowest of the third octet.
    expect(new Set(first.map((address) => Number(address.split(".")[2]) & 3)).size).toBe(4);
    expect(ports.map(outerOf)).toEqual(first);
  });

  test("a network of one address is that address, and none is the director's own; a living backend takes the change", () => {
    commit("192.0.2.7/32");
    expect(new Set(ports.map(outerOf))).toEqual(new Set(["192.0.2.7"]));
    commit();
    expect(new Set(ports.map(outerOf))).toEqual(new Set(["125.12.12.12"]));
    commit("172.16.0.0/16");
    expect(new Set(ports.map(outerOf)).size).toBeGreaterThan(190);
  });

  test("what does not fit is answered as ever", () => {
    commit("172.16.0.0/16");
    const answered = packets.find(({ name }) => name.includes("comes back as an ICMP error"))!;
    runFixture(bench, "tunnel", "web", answered);
  });

  test("with GUE too: address and port are the flow's", () => {
    bench.commit("tunnel", { ...service, outerSource: "172.16.0.0/16", guePort: 6080 });
    const packet = (sourcePort: number) =>
      udp({ source: "202.20.20.20", target: vip }, { sourcePort, targetPort: 53 }, [1]);
    const outer = ports.map((port) =>
      bench.run(frame(mac.gateway, mac.director, packet(port))).output.subarray(14, 38),
    );
    expect(new Set(outer.map((head) => head.subarray(12, 16).join("."))).size).toBeGreaterThan(190);
    for (const head of outer) expect([...head.subarray(12, 14), (head[22]! << 8) | head[23]!]).toEqual([172, 16, 6080]);
  });
});

describe.skipIf(missing !== null)("packets of tunnel in GUE", () => {
  let bench: Bench;
  beforeAll(async () => {
    const service = { ...testService("web", vips, [testBackend(1, real, null)]), guePort: 6080 };
    bench = await Bench.create("tunnel", service);
  }, 60_000);
  afterAll(() => bench?.close());

  test("the source port is the flow's, and stays the flow's", () => {
    const port = (source: number): number => {
      const packet = udp({ source: "202.20.20.20", target: vip }, { sourcePort: source, targetPort: 53 }, []);
      const { output } = bench.run(frame(mac.gateway, mac.director, packet));
      return (output[34]! << 8) | output[35]!;
    };
    const ports = [1, 2, 3, 4, 5].map(port);
    expect(new Set(ports).size).toBeGreaterThan(3);
    expect([1, 2, 3, 4, 5].map(port)).toEqual(ports);
    const { output } = bench.run(packetsInGue(0).input);
    runFixture(bench, "tunnel", "web", packetsInGue((output[34]! << 8) | output[35]!));
  });
});
