import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Applier } from "../core/method.ts";
import { netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import { attachDecap } from "./decap.ts";
import type { PlaneService } from "./plane-service.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { type Client, Programs } from "./testing/programs.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: ways to backends: ${missing}`);
const VIP = "125.12.12.77";

async function eventually(what: string, probe: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 25_000; performance.now() < end; await Bun.sleep(100)) if (await probe()) return;
  throw new Error(`not in time: ${what}`);
}

/**
 * A director with three interfaces: clients on `lan`, rs1 on a link of its own (eth1), rs2 in another network behind either
 * of two gateways (eth2). Both answer clients past the director: rs1 by its own interface on `lan`, rs2 by the first gateway's.
 */
describe.skipIf(missing !== null)("ways to backends on several interfaces", () => {
  const net = new TestNetwork();
  const programs = new Programs();
  const decaps: ReturnType<typeof testDoors>[] = [];
  const said: string[] = [];
  let director: TestNetns;
  let doors: ReturnType<typeof testDoors>;
  let applier: Applier<PlaneService>;
  let client: Client;
  /** Who answered each connection, as they were opened. */
  let owners: string[];

  const real = async (name: string, address: string): Promise<void> => {
    const host = net.host(name);
    for (const what of ["all", "eth0", "default"]) host.sh(`echo 0 > /proc/sys/net/ipv4/conf/${what}/rp_filter`);
    net.holdVip(host, VIP);
    const own = testDoors();
    decaps.push(own);
    await host.within(() => attachDecap({ device: "eth0", bpfDir: own.bpfDir, vips: [VIP] }));
    await programs.server(host, name, VIP, 80);
    expect(host.sh("ip -4 -o address show dev eth0")).toContain(address);
  };

  beforeAll(async () => {
    const [lan, near, middle, far] = ["lan", "near", "middle", "far"].map((name) => net.switch(name)) as TestNetns[];
    director = net.host("director");
    net.plug(director, lan!, "eth0", "125.12.12.12/24");
    net.plug(director, near!, "eth1", "10.1.0.12/24");
    net.plug(director, middle!, "eth2", "10.2.0.12/24");
    net.plug(net.host("client"), lan!, "eth0", "125.12.12.100/24");
    for (const [i, name] of ["first", "second"].entries()) {
      const gateway = net.host(name);
      net.plug(gateway, middle!, "eth0", `10.2.0.${i + 1}/24`);
      net.plug(gateway, far!, "eth1", `203.0.113.${i + 1}/24`);
      gateway.sh("echo 1 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter");
    }
    net.plug(net.host("first"), lan!, "eth2", "125.12.12.1/24");
    net.host("first").sh("echo 0 > /proc/sys/net/ipv4/conf/eth1/rp_filter");
    director.sh("ip route add 203.0.113.0/24 via 10.2.0.1");
    net.plug(net.host("rs1"), near!, "eth0", "10.1.0.20/24");
    net.plug(net.host("rs1"), lan!, "eth1", "125.12.12.20/24");
    net.plug(net.host("rs2"), far!, "eth0", "203.0.113.21/24");
    net.host("rs1").sh("ip route add 10.2.0.0/24 via 10.1.0.12");
    net.host("rs2").sh("ip route add default via 203.0.113.1");
    await real("rs1", "10.1.0.20");
    await real("rs2", "203.0.113.21");
    client = await programs.client(net.host("client"));
    doors = testDoors({ log: (message) => said.push(message) });
    await director.within(async () => {
      applier = await createXdpApplier(doors, "tunnel");
      await apply();
    });
  }, 60_000);
  afterAll(async () => {
    await director?.within(() => applier?.remove());
    await programs.stop();
    net.remove();
    doors?.close();
    for (const one of decaps) one.close();
  });

  const apply = async (): Promise<void> => {
    const backends = [testBackend(1, "10.1.0.20", null), testBackend(2, "203.0.113.21", null)];
    const prepared = await applier.prepare([
      testService("web", [{ address: VIP, port: 80, protocol: "tcp" }], backends),
    ]);
    if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
    await prepared.commit();
  };

  /** Every connection is asked; TCP repeats what was lost meanwhile. */
  const ask = async (): Promise<string[]> =>
    (await client({ do: "ask", size: 10 })).map((answer) => answer.slice(0, 3));
  /** Nobody loses a connection: who was silent meanwhile answers in the end, and it is the same one. */
  const allGoOn = (): Promise<void> => eventually("all go on", async () => (await ask()).join() === owners.join());
  const troubles = () => applier.troubles!("web").map(({ code, message }) => `${code} ${message}`);
  const received = (name: string): number =>
    JSON.parse(net.host(name).sh("ip -s -json link show dev eth0"))[0].stats64.rx.packets;

  test("each backend is reached by its own interface, and answers past the director", async () => {
    await director.within(async () => {
      const opened = await client({ do: "open", address: VIP, port: 80, count: 24 });
      expect(new Set(opened)).toEqual(new Set(["open"]));
      owners = await ask();
      expect(new Set(owners)).toEqual(new Set(["rs1", "rs2"]));
      const { service } = (await applier.counts()).get("web")!;
      // SYN, ACK and a request each, at least; nothing of what came back was seen.
      expect(service.packetsIn!).toBeGreaterThanOrEqual(72);
      expect(service.packetsOut ?? null).toBeNull();
      expect(troubles()).toEqual([]);
    });
  }, 60_000);

  test("a backend that gets another MAC keeps its connections, and the others theirs", async () => {
    await director.within(async () => {
      // A host says so when it takes an address up anew.
      net.host("rs1").sh("echo 1 > /proc/sys/net/ipv4/conf/eth0/arp_notify");
      net.host("rs1").sh("ip link set eth0 address 02:00:00:00:77:01");
      await allGoOn();
      expect(troubles()).toEqual([]);
    });
  }, 60_000);

  test("a route that moves to another gateway takes the flows along", async () => {
    await director.within(async () => {
      const before = received("second");
      director.sh("ip route replace 203.0.113.0/24 via 10.2.0.2");
      const moved = "the way to 203.0.113.21 is now by 10.2.0.2 on eth2";
      await eventually("the route is read", () => said.includes(moved));
      await eventually("the gateway's link address is known", () => troubles().length === 0);
      // Else the kernel would forget it, since packets go past its own path.
      const kept = () => director.sh("ip neigh show 10.2.0.2 dev eth2").includes("managed");
      await eventually("the new gateway is kept fresh", kept);
      // The first one takes nothing more from the director; answers still leave by its other side.
      net.host("first").sh("ip link set eth0 down");
      await allGoOn();
      expect(received("second") - before).toBeGreaterThan(owners.filter((owner) => owner === "rs2").length);
    });
  }, 60_000);

  test("a gateway that falls silent is named with what is behind it; all go on when it is back", async () => {
    await director.within(async () => {
      const gateway = net.host("second");
      gateway.sh("ip link set eth0 down");
      director.sh("ip neigh flush dev eth2; ip neigh replace 10.2.0.2 dev eth2 use nud none");
      const silent = "SLUICE_NEIGHBOUR nobody answers for 10.2.0.2 on eth2, the way to 1 backend";
      await eventually("it is missed", () => troubles().includes(silent));
      // Those on the other interface lose nothing.
      const meanwhile = await ask();
      owners.forEach((owner, i) => {
        if (owner === "rs1") expect(meanwhile[i]).toBe("rs1");
      });
      expect(meanwhile.filter((who) => who === "rs2")).toEqual([]);
      gateway.sh("ip link set eth0 up; ip link set eth0 address 02:00:00:00:77:02");
      director.sh("ip neigh replace 10.2.0.2 dev eth2 use nud none");
      await eventually("nothing is wrong", () => troubles().length === 0);
      await allGoOn();
    });
  }, 60_000);

  test("a revision while a route is missing keeps what leads there: all is well once the route is back", async () => {
    await director.within(async () => {
      director.sh("ip route del 203.0.113.0/24");
      const lost = "SLUICE_NO_ROUTE no route leads to 203.0.113.21";
      await eventually("it is missed", () => troubles().includes(lost));
      await apply();
      expect(director.sh("ip neigh show 10.2.0.2 dev eth2")).toContain("managed");
      director.sh("ip route add 203.0.113.0/24 via 10.2.0.2");
      await eventually("nothing is wrong", () => troubles().length === 0);
      await allGoOn();
    });
  }, 60_000);
});
