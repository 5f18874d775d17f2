import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { hostChangeText, sysctlName } from "../core/host-change.ts";
import { hostCapabilities, kernelVersion } from "./capabilities.ts";
import { createHostFacts, deviceFinder } from "./host-facts.ts";
import type { IpAddress } from "./ip.ts";
import { addresses, links, neighbours, routeGetSync } from "./ip.ts";
import { linkedPair, netnsMissing, type TestNetns } from "./netns-testing.ts";
import { nftDeleteTable, nftTable, nftTransaction } from "./nft.ts";
import { sysctlPath, sysctlSatisfied } from "./sysctl.ts";

test("sysctl keys with dots in a device's name are written with slashes", () => {
  expect(sysctlPath("net.ipv4.ip_forward")).toBe("/proc/sys/net/ipv4/ip_forward");
  expect(sysctlPath("net/ipv4/conf/eth0.1/rp_filter")).toBe("/proc/sys/net/ipv4/conf/eth0.1/rp_filter");
});

test("they are shown in the one form of sysctl(8)", () => {
  expect(sysctlName("net.ipv4.ip_forward")).toBe("net.ipv4.ip_forward");
  expect(sysctlName("net/ipv4/conf/eth0.1/rp_filter")).toBe("net.ipv4.conf.eth0/1.rp_filter");
  const change = { kind: "sysctl", key: "net/ipv4/conf/all/send_redirects", value: "0" } as const;
  expect(hostChangeText(change)).toBe("sysctl net.ipv4.conf.all.send_redirects = 0");
});

test("the rule max only raises", () => {
  expect(sysctlSatisfied("2", "1", "max")).toBe(true);
  expect(sysctlSatisfied("2", "1", "set")).toBe(false);
  expect(sysctlSatisfied("0", "1", "max")).toBe(false);
  expect(sysctlSatisfied(null, "0", "max")).toBe(false);
});

test("kernel versions", () => {
  expect(kernelVersion("6.1.0-25-amd64")).toEqual([6, 1]);
  expect(kernelVersion("strange")).toEqual([0, 0]);
});

test("the device of an address borders it; one held alone counts last", () => {
  const at = (device: string, address: string, prefix: number): IpAddress => ({
    device,
    address,
    prefix,
    family: address.includes(":") ? "inet6" : "inet",
    scope: "global",
  });
  const all = [
    at("lo", "125.12.12.77", 32),
    at("eth0", "125.12.12.20", 24),
    at("eth1", "125.12.0.1", 16),
    at("eth2", "2001:db8::1", 64),
  ];
  expect(deviceFinder(all)("125.12.12.77")).toBe("eth0");
  expect(deviceFinder(all)("125.12.9.9")).toBe("eth1");
  expect(deviceFinder(all)("2001:db8::77")).toBe("eth2");
  expect(deviceFinder(all)("8.8.8.8")).toBe(null);
  expect(deviceFinder(all.slice(0, 1))("125.12.12.77")).toBe("lo");
});

const missing = netnsMissing();
if (missing) console.warn(`doors to the host: skipped, ${missing}`);

describe.skipIf(missing !== null)("doors to the host", () => {
  let link: ReturnType<typeof linkedPair>;
  let a: TestNetns;
  let b: TestNetns;
  beforeAll(() => {
    link = linkedPair();
    ({ a, b } = link);
    a.sh(
      "ip route add default via 10.9.0.2; ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
    );
  });
  afterAll(() => {
    link?.remove();
  });

  test("addresses, links, neighbours and routes are told as they are", async () => {
    await a.within(async () => {
      const held = await addresses();
      expect(held.ok && held.value).toContainEqual({
        device: "eth0",
        family: "inet",
        address: "10.9.0.1",
        prefix: 24,
        scope: "global",
      });
      const devices = await links();
      expect(devices.ok && devices.value.find((l) => l.name === "eth0")).toMatchObject({
        mtu: 1500,
        up: true,
        running: true,
      });
      const near = await neighbours("eth0");
      expect(near.ok && near.value).toEqual([
        { address: "10.9.0.2", device: "eth0", mac: "02:00:00:00:00:99", state: ["PERMANENT"] },
      ]);
      expect(routeGetSync("202.20.20.20")).toEqual({
        device: "eth0",
        source: "10.9.0.1",
        via: "10.9.0.2",
        local: false,
      });
      expect(routeGetSync("10.9.0.1")?.local).toBe(true);
      const facts = createHostFacts("t");
      expect(facts.route("10.9.0.2")).toEqual({ device: "eth0", source: "10.9.0.1", via: null });
      expect(facts.deviceOf("10.9.0.77")).toBe("eth0");
    });
    expect(await b.within(() => routeGetSync("202.20.20.20"))).toBe(null);
  });

  test("nft: a transaction is all or nothing, and a refusal carries nft's words", async () => {
    await a.within(async () => {
      expect((await nftTransaction("add table inet t\nadd counter inet t n.1\nadd chain inet t s.1\n")).ok).toBe(true);
      const bad = await nftTransaction("add chain inet t more\nadd rule inet t nowhere accept\n");
      expect(bad.ok ? "" : `${bad.problems[0]!.code} ${bad.problems[0]!.message}`).toMatch(/SLUICE_NFT .*nowhere/);
      expect((await nftTransaction("add chain inet t checked\n", true)).ok).toBe(true);
      const table = await nftTable("inet", "t");
      expect(table.ok && table.value).toEqual({
        chains: ["s.1"],
        maps: [],
        sets: [],
        helpers: [],
        counters: [{ name: "n.1", packets: 0, bytes: 0 }],
      });
      expect((await nftDeleteTable("inet", "t")).ok).toBe(true);
      expect((await nftDeleteTable("inet", "t")).ok).toBe(true);
      expect(await nftTable("inet", "t")).toEqual({ ok: true, value: null });
    });
  });

  test("capabilities of root in a namespace of its own", async () => {
    const can = await a.within(() => hostCapabilities());
    expect(can.CAP_NET_ADMIN.able).toBe(true);
    expect(can.nftables).toEqual({ able: true, why: "nft takes NAT rules" });
  });
});
