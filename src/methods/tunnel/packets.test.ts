import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { toBytes16 } from "../../core/address.ts";
import { testBackend, testService } from "../../dataplane/testing/doors.ts";
import { Bench, mac } from "../../dataplane/testing/fixtures.ts";
import { ACK, checksumsHold, frame, SYN, tcp, udp } from "../../dataplane/testing/frames.ts";
import { xdpMissing } from "../../dataplane/testing/network.ts";
import { passThrough } from "../../dataplane/testing/pass-through.ts";
import { patience } from "../../dataplane/testing/patience.ts";
import { runFixture } from "../../dataplane/testing/run-fixtures.ts";
import { netnsMissing } from "../../system/netns-testing.ts";
import {
  errorTooBig,
  loose4ByNarrowWay,
  NARROW,
  others,
  others6,
  packet4in6,
  packetNamingOthers6,
  packets,
  packets6ByNarrowWay,
  packets6in4,
  packetsByNarrowWay,
  packetsIn6,
  packetsInGue,
  packetsNamingOthers,
  partedByNarrowWay,
  real,
  real6,
  vip,
  vip6,
} from "./packets.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: packets of tunnel: ${missing}`);
const vips = [
  { address: vip, port: 80, protocol: "tcp" as const },
  { address: vip, port: 53, protocol: "udp" as const },
  { address: vip6, port: 80, protocol: "tcp" as const },
];

describe.skipIf(missing !== null)("packets of tunnel", () => {
  let bench: Bench;
  const service = testService("web", vips, [testBackend(1, real, null)]);
  beforeAll(async () => {
    bench = await Bench.create("tunnel", service);
  }, patience(60_000));
  afterAll(() => bench?.close());

  for (const fixture of [...packets, errorTooBig, ...packets6in4, ...passThrough(vip)])
    test(fixture.name, () => runFixture(bench, "tunnel", "web", fixture));

  for (const { mtu, ...fixture } of [
    ...packetsByNarrowWay.map((one) => ({ ...one, mtu: NARROW })),
    ...packets6ByNarrowWay,
  ])
    test(fixture.name, () => {
      bench.commit("tunnel", service, mtu);
      runFixture(bench, "tunnel", "web", fixture);
      bench.commit("tunnel", service);
    });

  test("without the supervisor's heartbeat, when the kernel is asked for the way, it is still known what that carries", () => {
    bench.commit("tunnel", service, NARROW);
    bench.heartbeat(false);
    // What fits goes by the gateway of the routes here, and not by the MAC that the bench has made up.
    for (const fixture of packetsByNarrowWay.slice(1)) runFixture(bench, "tunnel", "web", fixture);
    bench.heartbeat(true);
    bench.commit("tunnel", service);
  });

  for (const [name, { input, output, mtu }] of Object.entries(partedByNarrowWay))
    test(name, () => {
      bench.commit("tunnel", service, mtu);
      const sent = bench.run(input);
      bench.commit("tunnel", service);
      expect(sent.verdict).toBe("tx");
      const id = (sent.output[18]! << 8) | sent.output[19]!;
      expect(Buffer.from(sent.output).toString("hex")).toBe(Buffer.from(output(id)).toString("hex"));
    });

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
  const service = testService("web", vips, [testBackend(1, real6, null)]);
  beforeAll(async () => {
    bench = await Bench.create("tunnel", service);
  }, patience(60_000));
  afterAll(() => bench?.close());

  test(loose4ByNarrowWay.name, () => {
    bench.commit("tunnel", service, NARROW);
    runFixture(bench, "tunnel", "web", loose4ByNarrowWay);
    bench.commit("tunnel", service);
  });

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
  }, patience(60_000));
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
  }, patience(60_000));
  afterAll(() => bench?.close());

  test("the source port is the flow's, and stays the flow's", () => {
    const port = (source: number): number => {
      const packet = udp({ source: "202.20.20.20", target: vip }, { sourcePort: source, targetPort: 53 }, []);
      const { output } = bench.run(frame(mac.gateway, mac.director, packet));
      return (output[34]! << 8) | output[35]!;
    };
    const ports = [1, 2, 3, 4, 5].map(port);
    expect(new Set(ports).size).toBeGreaterThan(3);
    // RFC 6335's dynamic ports: no rule for some service's port is meant for them.
    for (let source = 1; source < 60; source++) expect(port(source)).toBeGreaterThanOrEqual(49_152);
    expect([1, 2, 3, 4, 5].map(port)).toEqual(ports);
    const { output } = bench.run(packetsInGue(0).input);
    runFixture(bench, "tunnel", "web", packetsInGue((output[34]! << 8) | output[35]!));
  });
});

describe.skipIf(missing !== null)("packets of tunnel that name others", () => {
  let bench: Bench;
  const all = [real, ...others];
  /** Those of these ids get new work. */
  const serving = (ids: readonly number[], addresses: readonly string[] = all) => ({
    ...testService(
      "web",
      vips,
      addresses.map((address, i) => testBackend(i + 1, address, null, ids.includes(i + 1) ? "up" : "down")),
    ),
    guePort: 6080,
    secondChance: true as const,
  });
  const bytesAt = (output: Uint8Array, at: number): string => [...output.subarray(at, at + 4)].join(".");
  const segment = (sourcePort: number, flags = ACK): Uint8Array =>
    frame(
      mac.gateway,
      mac.director,
      tcp({ source: "202.20.20.20", target: vip }, { sourcePort, targetPort: 80 }, flags),
    );
  /** Where a flow's segment goes, and whom it names. */
  const told = (sourcePort: number): string[] => {
    const { output } = bench.run(segment(sourcePort));
    const count = output[49]!;
    return [bytesAt(output, 30), ...Array.from({ length: count }, (_, i) => bytesAt(output, 50 + 4 * i))];
  };
  const flows = Array.from({ length: 200 }, (_, i) => 1000 + i);

  beforeAll(async () => {
    bench = await Bench.create("tunnel", serving([1, 2, 3, 4]));
  }, patience(60_000));
  afterAll(() => bench?.close());

  test("byte for byte", () => {
    const { output } = bench.run(packetsInGue(0).input);
    const [target, ...named] = [bytesAt(output, 30), bytesAt(output, 50), bytesAt(output, 54)];
    expect(new Set([target, ...named]).size).toBe(3);
    // The bench gives every real server a link address that ends like its own.
    const fixtures = packetsNamingOthers((output[34]! << 8) | output[35]!, target!, named);
    for (const fixture of fixtures) {
      if (fixture.output && fixture.verdict === "tx" && fixture.output[5] === 0x14)
        fixture.output[5] = Number(target!.split(".")[3]);
      runFixture(bench, "tunnel", "web", fixture);
    }
  });

  test("each flow names three of four; every one of them is somebody's first", () => {
    const lists = flows.map(told);
    expect(lists.every((list) => new Set(list).size === 3 && list.every((one) => all.includes(one)))).toBe(true);
    expect(new Set(lists.map(([first]) => first))).toEqual(new Set(all));
  });

  test("who is found down is passed over, and named last; the order stays", () => {
    const before = flows.map(told);
    bench.plane.refresh("tunnel", [serving([2, 3, 4])]);
    const fresh = flows.map((port) => 10_000 + port);
    for (const port of fresh) bench.run(segment(port, 2));
    flows.forEach((port, i) => {
      const [first, ...rest] = before[i]!;
      const [target, ...named] = told(port);
      // An unknown flow of before belongs to its base.
      expect(target).toBe(first!);
      expect(new Set(named)).toEqual(new Set(rest));
    });
    bench.commit("tunnel", []);
    bench.commit("tunnel", serving([2, 3, 4]));
    flows.forEach((port, i) => {
      const order = before[i]!;
      const live = order.filter((one) => one !== real);
      expect(told(port)).toEqual(live.length < 3 ? [...live, real] : order);
    });
    bench.commit("tunnel", serving([1, 2, 3, 4]));
  });

  test("where nobody of a slot's order gets new work, somebody else does, and two of the order are named", () => {
    const before = flows.map(told);
    bench.commit("tunnel", []);
    bench.commit("tunnel", serving([1]));
    flows.forEach((port, i) => {
      const [target, ...named] = told(port);
      expect(target).toBe(real);
      expect(named).toEqual(before[i]!.filter((one) => one !== real).slice(0, 2));
    });
  });

  test("in IPv6 only those of IPv6 are named", () => {
    bench.commit("tunnel", []);
    const addresses = [real6, ...others6, real];
    bench.commit("tunnel", serving([1, 2, 3], addresses));
    const input = packetNamingOthers6(0, 0, real6, others6).input;
    const { output } = bench.run(input);
    const group = (at: number): string => Buffer.from(output.subarray(at, at + 16)).toString("hex");
    const text = (hex: string): string => addresses.find((one) => Buffer.from(toBytes16(one)).toString("hex") === hex)!;
    const target = text(group(38));
    const named = Array.from({ length: output[69]! }, (_, i) => text(group(70 + 16 * i)));
    expect(named.every((one) => one.includes(":") && one !== target)).toBe(true);
    expect(named.length).toBeGreaterThan(0);
    const fixture = packetNamingOthers6((output[54]! << 8) | output[55]!, label(output), target, named);
    fixture.output![5] = toBytes16(target)[15]!;
    runFixture(bench, "tunnel", "web", fixture);
  });
});
