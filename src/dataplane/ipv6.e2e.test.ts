import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Backend } from "../core/backend.ts";
import type { Applier } from "../core/method.ts";
import { netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import { attachDecap, decapCounts } from "./decap.ts";
import { Limit } from "./generated/layout.ts";
import type { ForwardName, PlaneService } from "./plane-service.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { type Client, Programs } from "./testing/programs.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: IPv6 end to end: ${missing}`);
const VIP4 = "125.12.12.77";
const VIP6 = "2001:db8:12::77";
const far4 = ["198.51.100.20", "198.51.100.21"];
const far6 = ["2001:db8:98::20", "2001:db8:98::21"];
const near6 = ["2001:db8:12::30", "2001:db8:12::31"];
const inner6 = ["2001:db8:1::30", "2001:db8:1::31"];

describe.skipIf(missing !== null)("IPv6", () => {
  const net = new TestNetwork();
  const programs = new Programs();
  const decaps: ReturnType<typeof testDoors>[] = [];
  let director: TestNetns;
  let doors: ReturnType<typeof testDoors>;
  let client: Client;

  const forwarding = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding";
  const add6 = (host: TestNetns, device: string, address: string): string =>
    host.sh(`ip -6 address add ${address}/64 dev ${device} nodad`);
  const holdVips = (host: TestNetns): void => {
    net.holdVip(host, VIP4);
    host.sh(`ip -6 address add ${VIP6}/128 dev lo nodad`);
  };

  beforeAll(async () => {
    doors = testDoors({ log: console.log });
    const lan = net.switch("lan");
    director = net.host("director");
    const router = net.host("router");
    for (const [host, last] of [
      [director, 12],
      [router, 1],
      [net.host("client"), 100],
    ] as const) {
      net.plug(host, lan, "eth0", `125.12.12.${last}/24`);
      add6(host, "eth0", `2001:db8:12::${last}`);
    }
    router.sh(forwarding);
    for (const host of [director, net.host("client")])
      host.sh("ip route add default via 125.12.12.1; ip route add default via 2001:db8:12::1");
    // direct: on the link of the VIP.
    for (const [i, address] of near6.entries()) {
      const host = net.host(`near${i}`);
      net.plug(host, lan, "eth0", `125.12.12.${30 + i}/24`);
      add6(host, "eth0", address);
      holdVips(host);
      await programs.server(host, `near${i}`, VIP6, 80);
    }
    // tunnel: behind the router.
    const farLan = net.switch("far");
    net.plug(router, farLan, "eth1", "198.51.100.1/24");
    add6(router, "eth1", "2001:db8:98::1");
    for (const [i, address] of far6.entries()) {
      const host = net.host(`far${i}`);
      net.plug(host, farLan, "eth0", `${far4[i]}/24`);
      add6(host, "eth0", address);
      host.sh("ip route add default via 198.51.100.1 advmss 1400; ip route add default via 2001:db8:98::1 advmss 1380");
      holdVips(host);
      const own = testDoors();
      decaps.push(own);
      const sources = ["125.12.12.12", "2001:db8:12::12"];
      await host.within(() => attachDecap({ device: "eth0", bpfDir: own.bpfDir, vips: [VIP4, VIP6], sources }));
      await programs.server(host, `far${i}`, VIP6, 80);
      await programs.server(host, `far${i}`, VIP4, 80);
    }
    // nat: behind the director.
    const inside = net.switch("inside");
    net.plug(director, inside, "eth1", "10.0.1.12/24");
    add6(director, "eth1", "2001:db8:1::12");
    for (const [i, address] of inner6.entries()) {
      const host = net.host(`inner${i}`);
      net.plug(host, inside, "eth0", `10.0.1.${30 + i}/24`);
      add6(host, "eth0", address);
      host.sh("ip route add default via 2001:db8:1::12");
      await programs.server(host, `inner${i}`, address, 8000);
    }
    client = await programs.client(net.host("client"));
  }, 60_000);
  afterAll(async () => {
    await programs.stop();
    net.remove();
    doors?.close();
    for (const one of decaps) one.close();
  });

  const service = (vip: string, backends: Backend[], more: Partial<PlaneService> = {}): PlaneService => ({
    ...testService(
      "web",
      (["tcp", "udp"] as const).map((protocol) => ({ address: vip, port: 80, protocol })),
      backends,
    ),
    ...more,
  });
  const reals = (addresses: readonly string[], port: number | null = null): Backend[] =>
    addresses.map((address, i) => testBackend(i + 1, address, port));
  const using = (forward: ForwardName, work: (applier: Applier<PlaneService>) => Promise<void>): Promise<void> =>
    director.within(async () => {
      const applier = await createXdpApplier(doors, forward);
      try {
        await work(applier);
      } finally {
        await applier.remove();
        await client({ do: "close" });
      }
    });
  const apply = async (applier: Applier<PlaneService>, one: PlaneService): Promise<void> => {
    const prepared = await applier.prepare([one]);
    if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
    await prepared.commit();
  };

  /**
   * Connections spread over both, keep their server when one leaves, carry much, and datagrams come through, also in
   * fragments.
   */
  async function serves(applier: Applier<PlaneService>, one: PlaneService, name: string, from: string): Promise<void> {
    const vip = one.vips[0]!.address;
    await apply(applier, one);
    const open = { do: "open", address: vip, port: 80, count: 24 };
    expect(new Set(await client(open))).toEqual(new Set(["open"]));
    const first = await client({ do: "ask", size: 10 });
    const names = (answers: string[]): string[] => answers.map((answer) => answer.split(" ")[0]!);
    expect(new Set(names(first))).toEqual(new Set([`${name}0`, `${name}1`]));
    expect(first[0]!.split(" ")[1]).toStartWith(from);
    await apply(applier, { ...one, backends: one.backends.slice(1), eligible: [2] });
    expect(names(await client({ do: "ask", size: 60_000 }))).toEqual(names(first));
    // IPv4 fragments that may be fragmented further are dropped by name where they do not fit.
    for (const size of vip === VIP4 ? [100] : [100, 4000]) {
      const datagram = { do: "udp", address: vip, port: 80, count: 6, size };
      // Wrapped, a full fragment does not fit: the client is told so and makes smaller ones.
      if (name === "far" && size === 4000) await client({ ...datagram, count: 1 });
      const datagrams = await client(datagram);
      expect(datagrams.every((answer) => answer.startsWith(name) && answer.endsWith(` ${size}`))).toBe(true);
    }
  }

  test("direct hands over untouched", async () => {
    await using("direct", (applier) => serves(applier, service(VIP6, reals(near6)), "near", "2001:db8:12::100"));
  }, 60_000);

  test("tunnel carries IPv6 in IPv6", async () => {
    await using("tunnel", async (applier) => {
      await serves(applier, service(VIP6, reals(far6)), "far", "2001:db8:12::100");
      const checker = await programs.client(net.host("checker"));
      await applier.joinChecker!(checker.pid);
      const target = applier.probe!("web", 2)!;
      expect(await checker({ do: "probe", ...target })).toEqual([`far1 2001:db8:12::12:${target.source.port} 1`]);
    });
  }, 60_000);

  test("tunnel carries IPv6 in IPv4", async () => {
    await using("tunnel", (applier) => serves(applier, service(VIP6, reals(far4)), "far", "2001:db8:12::100"));
  }, 60_000);

  test("tunnel carries IPv4 in IPv6", async () => {
    await using("tunnel", (applier) => serves(applier, service(VIP4, reals(far6)), "far", "125.12.12.100"));
  }, 60_000);

  test("GUE carries both in both", async () => {
    const guePort = Limit.GUE_PORT;
    const before = decapCounts(decaps[1]!.bpfDir)!.packets;
    await using("tunnel", (one) => serves(one, service(VIP6, reals(far6), { guePort }), "far", "2001:db8:12::100"));
    await using("tunnel", (one) => serves(one, service(VIP4, reals(far4), { guePort }), "far", "125.12.12.100"));
    await using("tunnel", (one) => serves(one, service(VIP6, reals(far4), { guePort }), "far", "2001:db8:12::100"));
    expect(decapCounts(decaps[1]!.bpfDir)!.packets).toBeGreaterThan(before + 100);
  }, 60_000);

  test("nat rewrites both ways", async () => {
    await using("nat", async (applier) => {
      await serves(applier, service(VIP6, reals(inner6, 8000)), "inner", "2001:db8:12::100");
      const counts = (await applier.counts()).get("web")!;
      expect(counts.service.packetsOut).toBeGreaterThan(100);
    });
  }, 60_000);
});
