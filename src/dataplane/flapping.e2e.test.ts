import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Applier } from "../core/method.ts";
import { netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import type { ForwardName, PlaneService } from "./plane-service.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { type Client, Programs } from "./testing/programs.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: interfaces that flap: ${missing}`);
const LONG = process.env.SLUICE_TEST_LONG === "1";
/** Connections that are held to each service, and how often an interface goes down and up. */
const [HELD, FLAPS] = LONG ? [400, 60] : [40, 3];
const VIP = "125.12.12.77";
const vip = (port: number): PlaneService["vips"] => [{ address: VIP, port, protocol: "tcp" }];

/** `direct` by eth0, on which clients are too; `nat` by eth1. */
const services = {
  direct: testService("near", vip(80), [testBackend(1, "125.12.12.20", null)]),
  nat: testService(
    "far",
    vip(81),
    [20, 21].map((last) => testBackend(last, `10.1.0.${last}`, 8000)),
  ),
} as const;
const methods = ["direct", "nat"] as const;

async function eventually(what: string, probe: () => boolean): Promise<void> {
  for (const end = performance.now() + 30_000; performance.now() < end; await Bun.sleep(100)) if (probe()) return;
  throw new Error(`not in time: ${what}`);
}

describe.skipIf(missing !== null)("interfaces that flap under connections", () => {
  const net = new TestNetwork();
  const programs = new Programs();
  const said: string[] = [];
  const appliers = new Map<ForwardName, Applier<PlaneService>>();
  const clients = new Map<ForwardName, Client>();
  /** Who answered each connection, as they were opened. */
  const held = new Map<ForwardName, string[]>();
  let director: TestNetns;
  let doors: ReturnType<typeof testDoors>;
  let round = 0;

  const plug = {
    eth0: () => net.plug(director, net.host("outside"), "eth0", "125.12.12.12/24"),
    eth1: () => net.plug(director, net.host("inside"), "eth1", "10.1.0.12/24"),
  };
  const devices = ["eth0", "eth1"] as const;

  const open = async (method: (typeof methods)[number], count: number): Promise<void> => {
    const { port } = services[method].vips[0]!;
    const made = await clients.get(method)!({ do: "open", address: VIP, port, count });
    expect(made.filter((text) => !text.endsWith(" ok"))).toEqual([]);
    held.set(method, [...(held.get(method) ?? []), ...made]);
  };

  beforeAll(async () => {
    const [outside, inside] = [net.switch("outside"), net.switch("inside")];
    director = net.host("director");
    for (const device of devices) plug[device]();
    net.plug(net.host("client"), outside, "eth0", "125.12.12.100/24");
    net.plug(net.host("real"), outside, "eth0", "125.12.12.20/24");
    net.holdVip(net.host("real"), VIP);
    await programs.echo(net.host("real"), "real", VIP, 80);
    for (const last of [20, 21]) {
      const host = net.host(`b${last}`);
      net.plug(host, inside, "eth0", `10.1.0.${last}/24`);
      host.sh("ip route add default via 10.1.0.12");
      await programs.echo(host, `b${last}`, `10.1.0.${last}`, 8000);
    }
    doors = testDoors({ log: (message) => said.push(message) });
    await director.within(async () => {
      for (const method of methods) {
        const applier = await createXdpApplier(doors, method);
        const prepared = await applier.prepare([services[method]]);
        if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
        await prepared.commit();
        appliers.set(method, applier);
        const client = await programs.client(net.host("client"), "crowd");
        // Links are down for so long that TCP's next try may be half a minute away.
        await client({ do: "wait", ms: 90_000 });
        clients.set(method, client);
        await open(method, HELD);
      }
    });
    // The upkeep's timer belongs there, also between two tests.
    director.stay();
  }, 60_000);
  afterAll(async () => {
    for (const applier of appliers.values()) await applier.remove();
    await programs.stop();
    net.remove();
    doors?.close();
  });

  const troubles = (): string[] =>
    methods.flatMap((method) =>
      appliers.get(method)!.troubles!(services[method].name).map(({ code, message }) => `${code} ${message}`),
    );
  const speak = (method: ForwardName): Promise<string[]> => clients.get(method)!({ do: "speak", round: round++ });

  /** All connections talk while `work` is done and until nothing is wrong any more: each byte comes back. */
  async function whileAllTalk(work: () => Promise<void>): Promise<void> {
    let over = false;
    const talks = methods.map(async (method) => {
      for (;;) {
        const told = await speak(method);
        if (over || told.some((text) => !text.endsWith(" ok"))) return told;
      }
    });
    await work();
    await eventually("nothing is wrong", () => troubles().length === 0);
    over = true;
    await Promise.all(talks);
    for (const method of methods) expect(await speak(method)).toEqual(held.get(method)!);
    for (const method of methods) await open(method, 4);
  }

  test("links that go down and up, and another MTU, break no connection", async () => {
    await whileAllTalk(async () => {
      for (let i = 0; i < FLAPS; i++)
        for (const device of devices) {
          director.sh(`ip link set ${device} down; sleep 0.2; ip link set ${device} up`);
          await Bun.sleep(500);
        }
      for (const mtu of [1400, 1500])
        for (const device of devices) {
          director.sh(`ip link set ${device} mtu ${mtu}`);
          await Bun.sleep(1000);
        }
    });
  }, 240_000);

  test("interfaces that get other names are followed: nothing is missed, and what stands on them is ours still", async () => {
    await whileAllTalk(async () => {
      for (const device of devices) director.sh(`ip link set ${device} down; ip link set ${device} name new-${device}`);
      for (const device of devices) director.sh(`ip link set new-${device} up`);
      for (const device of devices)
        await eventually("it is followed", () => said.includes(`interface ${device} is called new-${device} now`));
    });
    expect(appliers.get("nat")!.describe("far").slice(0, 2)).toEqual([
      "xdp native on new-eth0",
      "xdp native on new-eth1",
    ]);
    const before = said.length;
    await whileAllTalk(async () => {
      for (const device of devices) director.sh(`ip link set new-${device} name ${device}`);
      for (const device of devices)
        await eventually("it is followed", () => said.includes(`interface new-${device} is called ${device} now`));
    });
    expect(said.slice(before).filter((text) => /cannot|is not there/.test(text))).toEqual([]);
  }, 120_000);

  test("an interface that is away keeps no other one's VIPs and neighbours from it", async () => {
    const before = said.length;
    await whileAllTalk(async () => {
      director.sh("ip link del eth0; ip link del eth1");
      await eventually("both are missed", () => troubles().filter((text) => /is not there/.test(text)).length >= 3);
      plug.eth0();
      await eventually("the VIP is held", () => director.sh("ip address show dev eth0").includes(`${VIP}/32`));
      await eventually("one service is well", () => appliers.get("direct")!.troubles!("near").length === 0);
      expect(director.sh("ip neigh show dev eth0")).toContain("managed");
      plug.eth1();
    });
    expect(said.slice(before).filter((text) => text.includes("cannot"))).toEqual([]);
  }, 120_000);

  test("and once an interface has another name, removing all leaves nothing on it", async () => {
    for (const device of devices) director.sh(`ip link set ${device} name last-${device}`);
    for (const device of devices)
      await eventually("it is followed", () => said.includes(`interface ${device} is called last-${device} now`));
    for (const applier of appliers.values()) await applier.remove();
    appliers.clear();
    expect(director.sh("ip address show")).not.toContain(VIP);
    expect(director.sh("ip neigh show nud all")).not.toContain("managed");
    expect(director.sh("ip link show")).not.toContain("xdp");
    expect(director.sh("cat /proc/sys/net/ipv4/conf/last-eth*/send_redirects").trim()).toBe("1\n1");
  }, 60_000);
});
