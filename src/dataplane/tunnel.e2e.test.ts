import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import { attachDecap, decapCounts, detachDecap } from "./decap.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { type Client, Programs } from "./testing/programs.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: tunnel end to end: ${missing}`);
const VIP = "125.12.12.77";
const real = { rs1: "198.51.100.20", rs2: "203.0.113.21" };

describe.skipIf(missing !== null)("tunnel", () => {
  const net = new TestNetwork();
  const programs = new Programs();
  const decaps: ReturnType<typeof testDoors>[] = [];
  let director: TestNetns;
  let doors: ReturnType<typeof testDoors>;
  let client: Client;
  /** While it is there. */
  let standing: Awaited<ReturnType<typeof createXdpApplier>> | undefined;

  beforeAll(async () => {
    doors = testDoors({ log: console.log });
    const lan = net.switch("lan");
    const router = net.host("router");
    director = net.host("director");
    net.plug(director, lan, "eth0", "125.12.12.12/24");
    net.plug(router, lan, "eth0", "125.12.12.1/24");
    net.plug(net.host("client"), lan, "eth0", "125.12.12.100/24");
    router.sh("echo 1 > /proc/sys/net/ipv4/ip_forward");
    director.sh("ip route add default via 125.12.12.1");
    net.host("client").sh("ip route add default via 125.12.12.1");
    for (const [i, [name, address]] of Object.entries(real).entries()) {
      const far = net.switch(`far${i}`);
      const gateway = address.replace(/\d+$/, "1");
      net.plug(router, far, `eth${i + 1}`, `${gateway}/24`);
      const host = net.host(name);
      net.plug(host, far, "eth0", `${address}/24`);
      host.sh(`ip route add default via ${gateway} advmss 1440`);
      net.holdVip(host, VIP);
      const own = testDoors();
      decaps.push(own);
      await host.within(() =>
        attachDecap({ device: "eth0", bpfDir: own.bpfDir, vips: [VIP], sources: ["125.12.12.12", "172.16.0.0/16"] }),
      );
      await programs.server(host, name, VIP, 80);
    }
    client = await programs.client(net.host("client"));
  }, 60_000);
  afterAll(async () => {
    await director?.within(() => standing?.remove());
    await programs.stop();
    net.remove();
    doors?.close();
    for (const one of decaps) one.close();
  });

  const service = (ids: number[]) =>
    testService(
      "web",
      [
        { address: VIP, port: 80, protocol: "tcp" },
        { address: VIP, port: 80, protocol: "udp" },
      ],
      ids.map((id) => testBackend(id, Object.values(real)[id - 1]!, null)),
    );

  test("reaches real servers in other networks, which answer the client directly", async () => {
    await director.within(async () => {
      const applier = await createXdpApplier(doors, "tunnel");
      standing = applier;
      const apply = async (ids: number[]): Promise<void> => {
        const prepared = await applier.prepare([service(ids)]);
        if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
        await prepared.commit();
      };
      await apply([1, 2]);
      expect(new Set(await client({ do: "open", address: VIP, port: 80, count: 24 }))).toEqual(new Set(["open"]));
      const first = await client({ do: "ask", size: 10 });
      expect(new Set(first.map((answer) => answer.slice(0, 3)))).toEqual(new Set(["rs1", "rs2"]));
      await apply([2]);
      const second = await client({ do: "ask", size: 10 });
      expect(second.map((answer) => answer.slice(0, 3))).toEqual(first.map((answer) => answer.slice(0, 3)));
      // Far more than one packet: the advertised segment size leaves room for the outer header.
      const big = await client({ do: "ask", size: 200_000 });
      expect(big.every((answer) => answer.startsWith("rs"))).toBe(true);
      // 1,472 bytes fill a packet: wrapped, it does not fit; the client is told so and sends smaller ones.
      const datagram = { do: "udp", address: VIP, port: 80, count: 1, size: 1472 };
      await client(datagram);
      const told = net.host("client").sh(`ip route get ${VIP}`);
      expect(told).toContain("mtu 1480");
      expect(await client(datagram)).toEqual([expect.stringMatching(/^rs[12] 1472$/)]);
      const counts = (await applier.counts()).get("web")!;
      expect(counts.service.packetsIn).toBeGreaterThan(100);
      expect(decapCounts(decaps[0]!.bpfDir)!.packets).toBeGreaterThan(10);
      const checker = await programs.client(net.host("checker"));
      await applier.joinChecker!(checker.pid);
      const target = applier.probe!("web", 2)!;
      expect(await checker({ do: "probe", ...target })).toEqual([`rs2 125.12.12.12:${target.source.port} 1`]);
      // A router on the way carries less than our own link: it says so of wrapped segments, and clients are told.
      const router = net.host("router");
      const narrowed = async (mtu: number): Promise<void> => {
        router.sh(`ip link set eth2 mtu ${mtu}`);
        const answers = await client({ do: "ask", size: 200_000 });
        expect(answers.map((answer) => answer.slice(0, 3))).toEqual(first.map((answer) => answer.slice(0, 3)));
        expect(net.host("client").sh(`ip route get ${VIP}`)).toContain(`mtu ${mtu - 20}`);
      };
      await narrowed(1400);
      // Outer sources of a network: rs2 takes them, and answers checks and clients as before.
      const varied = await applier.prepare([{ ...service([2]), outerSource: "172.16.0.0/16" }]);
      if (Array.isArray(varied)) throw new Error(JSON.stringify(varied));
      await varied.commit();
      const taken = decapCounts(decaps[1]!.bpfDir)!;
      const third = await client({ do: "ask", size: 200_000 });
      expect(third.map((answer) => answer.slice(0, 3))).toEqual(first.map((answer) => answer.slice(0, 3)));
      expect(await client(datagram)).toEqual([expect.stringMatching(/^rs[12] 1472$/)]);
      expect(await checker({ do: "probe", ...target })).toEqual([`rs2 125.12.12.12:${target.source.port} 1`]);
      const after = decapCounts(decaps[1]!.bpfDir)!;
      expect(after.packets - taken.packets).toBeGreaterThan(10);
      expect(after.refused).toBe(taken.refused);
      // And so it is where their network is local to the director, whom the router finds there.
      director.sh("ip route add local 172.16.0.0/16 dev lo");
      router.sh("ip route add 172.16.0.0/16 via 125.12.12.12");
      await narrowed(1350);
      await applier.remove();
      standing = undefined;
      await net.host("rs1").within(() => detachDecap({ bpfDir: decaps[0]!.bpfDir }));
      expect(net.host("rs1").sh("ip link show dev eth0")).not.toContain("xdp");
    });
  }, 60_000);
});
