import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Applier } from "../core/method.ts";
import { netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import type { PlaneService } from "./plane-service.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { type Client, Programs } from "./testing/programs.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: jumbo frames: ${missing}`);
const VIP = "125.12.12.77";
const MTU = 9000;
const service = testService(
  "web",
  (["tcp", "udp"] as const).map((protocol) => ({ address: VIP, port: 80, protocol })),
  [testBackend(1, "125.12.12.20", null)],
);

describe.skipIf(missing !== null)("on a link with an MTU of 9000", () => {
  const net = new TestNetwork();
  const programs = new Programs();
  const said: string[] = [];
  let director: TestNetns;
  let doors: ReturnType<typeof testDoors>;
  let applier: Applier<PlaneService>;
  let client: Client;

  beforeAll(async () => {
    const lan = net.switch("lan");
    director = net.host("director");
    for (const [host, last] of [
      [director, 12],
      [net.host("client"), 100],
      [net.host("real"), 20],
    ] as const)
      net.plug(host, lan, "eth0", `125.12.12.${last}/24`);
    // Frames so long are beyond native programs of a veth, also of the switch's.
    for (const host of net.hosts.values())
      if (host === lan) host.sh("for p in p0 p1 p2; do ip link set dev $p xdpdrv off; ip link set $p mtu 9100; done");
      else host.sh(`ip link set eth0 mtu ${MTU}`);
    net.holdVip(net.host("real"), VIP);
    await programs.server(net.host("real"), "real", VIP, 80);
    client = await programs.client(net.host("client"));
    doors = testDoors({ log: (message) => said.push(message) });
    director.stay();
    applier = await createXdpApplier(doors, "direct");
    const prepared = await applier.prepare([service]);
    if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
    await prepared.commit();
  }, 60_000);
  afterAll(async () => {
    await applier?.remove();
    await programs.stop();
    net.remove();
    doors?.close();
  });

  test("that its driver refuses native XDP is said, with its word and the MTU", () => {
    const why = `its driver refuses native XDP at MTU ${MTU}: Numerical result out of range`;
    expect(said).toContain(`eth0 has the generic hook, which is dearer: ${why}`);
    expect(applier.describe("web")[0]).toBe(`xdp generic on eth0 (${why})`);
  });

  test("datagrams and connections go through whole, in frames of any length", async () => {
    for (const size of [100, 3000, 5000, 8900]) {
      const whole = (told: string[]): boolean => told.every((text) => text === `real ${size}`);
      const ask = { do: "udp", address: VIP, port: 80, count: 4, size };
      // A datagram may get lost, but not each time.
      expect([size, whole(await client(ask)) || whole(await client(ask)) || (await client(ask))]).toEqual([size, true]);
    }
    const all = (what: string) => Array.from({ length: 4 }, () => what);
    expect(await client({ do: "open", address: VIP, port: 80, count: 4 })).toEqual(all("open"));
    // Of what comes in several parts each is answered; who answered is what counts.
    const answers = await client({ do: "ask", size: 8000 });
    expect(answers.map((text) => text.split(" ")[0]!)).toEqual(all("real"));
    const { service: counts } = (await applier.counts()).get("web")!;
    expect([counts.drops, counts.packetsIn! > 20]).toEqual([0, true]);
  }, 60_000);
});
