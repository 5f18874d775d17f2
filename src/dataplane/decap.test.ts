import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { toBytes16 } from "../core/address.ts";
import { BpfObject, lookupElement, openPinned, possibleCpus, updateElement } from "../system/libbpf.ts";
import { closeFd } from "../system/net.ts";
import { netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { addIngress } from "../system/tc.ts";
import { testRun } from "../system/test-run.ts";
import { ensureBuilt, objectPath } from "./build.ts";
import { attachDecap, detachDecap } from "./decap.ts";
import { decapConfig, decapCount } from "./generated/layout.ts";
import { pinsOf } from "./pins.ts";
import { mac } from "./testing/fixtures.ts";
import { ACK, checksumsHold, fragment6, frame, ipv4, ipv6, tcp } from "./testing/frames.ts";
import { type TestHost, testHost } from "./testing/host.ts";
import { xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";

const missing = xdpMissing();
if (missing) console.log(`skipped: unwrapping at a real server: ${missing}`);
const [XDP_DROP, XDP_PASS] = [1, 2];
const addresses = {
  4: { source: "202.20.20.20", target: "125.12.12.77" },
  6: { source: "2001:db8:20::20", target: "2001:db8:12::77" },
};
const outside = {
  4: { source: "125.12.12.12", target: "198.51.100.20" },
  6: { source: "2001:db8:12::12", target: "2001:db8:98::14" },
};
type Version = 4 | 6;

/** DSCP 46, and the two bits of congestion. */
const inside = (version: Version, ecn: number): number[] =>
  tcp({ ...addresses[version], tos: 0xb8 | ecn }, { sourcePort: 5656, targetPort: 80 }, ACK);
const wrapped = (outer: Version, version: Version, outerEcn: number, ecn: number): Uint8Array => {
  const [wrap, ip] = [outer === 4 ? ipv4 : ipv6, { ...outside[outer], tos: outerEcn }];
  return frame(mac.gateway, mac.backend, wrap(ip, version === 4 ? 4 : 41, inside(version, ecn)));
};

describe.skipIf(missing !== null)("unwrapping at a real server", () => {
  let object: BpfObject;
  beforeAll(() => {
    ensureBuilt();
    object = new BpfObject(objectPath("decap"));
    object.load();
    const one = Uint8Array.of(1, 0, 0, 0);
    for (const { target } of Object.values(addresses))
      updateElement(object.mapFd("decap_vips"), toBytes16(target), one);
    const config = new Uint8Array(decapConfig.size);
    config[decapConfig.anySource] = 1;
    updateElement(object.mapFd("decap_settings"), new Uint8Array(4), config);
  }, patience(60_000));
  afterAll(() => object?.close());

  const parted = (): number => {
    const counts = new BigUint64Array((decapCount.size / 8) * possibleCpus());
    lookupElement(object.mapFd("decap_counts"), new Uint8Array(4), new Uint8Array(counts.buffer));
    return counts.reduce(
      (sum, n, i) => (i % (decapCount.size / 8) === decapCount.parted / 8 ? sum + Number(n) : sum),
      0,
    );
  };

  test("a tunnel that comes in fragments is the kernel's, untouched, and counted once", () => {
    const whole = inside(4, 0);
    const gue = [0x30, 0x39, 0x17, 0xc0, 0, 8 + whole.length, 0, 0, ...whole];
    const dns = [0x30, 0x39, 0, 53, 0, 8 + whole.length, 0, 0, ...whole];
    const four = (protocol: number, offset: number, moreFragments: boolean, payload: number[]) =>
      ipv4({ ...outside[4], offset, moreFragments }, protocol, payload);
    const six = (protocol: number, offset: number, more: boolean, payload: number[]) =>
      ipv6(outside[6], 44, fragment6(protocol, 7, offset, more, payload));
    for (const build of [four, six])
      for (const [protocol, payload, counts] of [
        [4, whole, 1],
        [41, inside(6, 0), 1],
        [17, gue, 1],
        [17, dns, 0],
        [6, whole, 0],
      ] as const) {
        const before = parted();
        for (const packet of [
          build(protocol, 0, true, payload.slice(0, 24)),
          build(protocol, 3, false, payload.slice(24)),
        ]) {
          const sent = frame(mac.gateway, mac.backend, packet);
          const { verdict, output } = testRun(object.programFd("decap"), sent);
          expect([verdict, Buffer.compare(output, sent)]).toEqual([XDP_PASS, 0]);
        }
        expect(parted() - before).toBe(counts);
      }
  });

  for (const outer of [4, 6] as const)
    for (const version of [4, 6] as const) {
      const run = (outerEcn: number, ecn: number) =>
        testRun(object.programFd("decap"), wrapped(outer, version, outerEcn, ecn));

      test(`IPv${version} in IPv${outer}: what a router has marked outside is marked inside`, () => {
        for (const ecn of [1, 2, 3]) {
          const { verdict, output } = run(3, ecn);
          expect(verdict).toBe(XDP_PASS);
          expect([...output.subarray(14)]).toEqual(inside(version, 3));
          expect(checksumsHold(output.subarray(14))).toBe(true);
        }
      });

      test(`IPv${version} in IPv${outer}: without a mark outside nothing changes inside`, () => {
        for (const outerEcn of [0, 1, 2])
          for (const ecn of [0, 1, 2, 3])
            expect([...run(outerEcn, ecn).output.subarray(14)]).toEqual(inside(version, ecn));
      });

      test(`IPv${version} in IPv${outer}: a flow that does not know marks has a loss instead`, () => {
        expect(run(3, 0).verdict).toBe(XDP_DROP);
      });
    }
});

const hostMissing = missing ?? netnsMissing();
if (hostMissing) console.log(`skipped: a real server that is set up again: ${hostMissing}`);

describe.skipIf(hostMissing !== null)("a real server that is set up again", () => {
  let stage: TestHost;
  let host: TestNetns;
  let doors: TestHost["doors"];
  beforeAll(() => {
    stage = testHost("real", "198.51.100.20/24", "");
    ({ host, doors } = stage);
  });
  afterAll(async () => {
    await host?.within(() => detachDecap({ bpfDir: doors.bpfDir }));
    stage?.remove();
  });

  const setUp = (sources: string[], device = "eth0") =>
    host.within(() => attachDecap({ device, bpfDir: doors.bpfDir, vips: [addresses[4].target], sources }));
  const setting = (at: number): number => {
    const map = openPinned(`${pinsOf(doors.bpfDir).maps}/decap_settings`)!;
    const config = new Uint8Array(decapConfig.size);
    lookupElement(map, new Uint8Array(4), config);
    closeFd(map);
    return new DataView(config.buffer).getUint32(at, true);
  };
  const director = outside[4].source;

  test("never stops sending on what has no socket here, not even when it gets no further", async () => {
    await setUp([director]);
    expect(setting(decapConfig.secondChance)).toBe(1);
    // In the place of ours stands one for another protocol: tc refuses ours.
    const other = `protocol ip bpf da object-pinned ${pinsOf(doors.bpfDir).maps}/second_chance`;
    host.sh("tc filter del dev eth0 ingress pref 6080");
    host.sh(`tc filter add dev eth0 ingress pref 6080 ${other}`);
    await expect(setUp([director])).rejects.toThrow();
    expect(setting(decapConfig.secondChance)).toBe(1);
    host.sh("tc filter del dev eth0 ingress pref 6080");
    await setUp([director]);
    expect(setting(decapConfig.secondChance)).toBe(1);
  });

  const runsOn = (device: string): boolean => host.sh(`ip link show dev ${device}`).includes("xdp");
  const filtersOf = (device: string): string => host.sh(`tc filter show dev ${device} ingress`).trim();
  const qdiscsOf = (device: string): string => host.sh(`tc qdisc show dev ${device}`).trim();

  test("moves to another device: the former one is as it was before; where it cannot go it stays", async () => {
    host.sh("ip link add eth1 type veth peer name eth2; ip link set eth1 up");
    const untouched = qdiscsOf("eth1");
    await setUp([director]);
    for (const [device, other] of [
      ["eth1", "eth0"],
      ["eth0", "eth1"],
    ] as const) {
      await setUp([director], device);
      expect([runsOn(device), filtersOf(device).includes("second_chance")]).toEqual([true, true]);
      expect([runsOn(other), filtersOf(other), qdiscsOf(other).includes("clsact")]).toEqual([false, "", false]);
      expect(setting(decapConfig.secondChance)).toBe(1);
    }
    expect(qdiscsOf("eth1")).toBe(untouched);
    await expect(setUp([director], "eth9")).rejects.toThrow("there is no interface eth9");
    expect([runsOn("eth0"), setting(decapConfig.secondChance)]).toEqual([true, 1]);
    expect(filtersOf("eth0")).toContain("second_chance");
    host.sh("ip link del eth1");
  });

  test("a filter that tc refuses leaves nothing on the device", () => {
    host.sh("ip link add eth1 type veth peer name eth2; ip link set eth1 up");
    const before = qdiscsOf("eth1");
    const entry = new BpfObject(objectPath("entry"));
    entry.load();
    const path = `${pinsOf(doors.bpfDir).maps}/refused`;
    // For XDP alone.
    expect(() => host.inside(() => addIngress("eth1", entry.programFd("entry"), path))).toThrow();
    entry.close();
    expect(qdiscsOf("eth1")).toBe(before);
    expect([existsSync(path), existsSync(`${path}_new`)]).toEqual([false, false]);
    host.sh("ip link del eth1");
  });

  test("sends nothing on any more when it listens to everybody, and begins again", async () => {
    await setUp([]);
    expect([setting(decapConfig.secondChance), setting(decapConfig.anySource)]).toEqual([0, 1]);
    await setUp([director]);
    expect([setting(decapConfig.secondChance), setting(decapConfig.anySource)]).toEqual([1, 0]);
  });
});
