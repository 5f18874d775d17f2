import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { BackendState } from "../core/backend.ts";
import type { Applier } from "../core/method.ts";
import { netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import type { PlaneService } from "./plane-service.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { Programs } from "./testing/programs.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: direct end to end: ${missing}`);
const VIP = "125.12.12.77";
const vips = [
  { address: VIP, port: 80, protocol: "tcp" as const },
  { address: VIP, port: 80, protocol: "udp" as const },
];

describe.skipIf(missing !== null)("direct", () => {
  const net = new TestNetwork();
  const programs = new Programs();
  let director: TestNetns;
  let doors: ReturnType<typeof testDoors>;
  let client: (command: object) => Promise<string[]>;

  beforeAll(async () => {
    const lan = net.switch("switch");
    director = net.host("director");
    net.plug(director, lan, "eth0", "125.12.12.12/24");
    net.plug(net.host("client"), lan, "eth0", "125.12.12.100/24");
    for (const [name, address] of [
      ["rs1", "125.12.12.20"],
      ["rs2", "125.12.12.21"],
      ["rs3", "125.12.12.22"],
    ] as const) {
      const host = net.host(name);
      net.plug(host, lan, "eth0", `${address}/24`);
      net.holdVip(host, VIP);
      await programs.server(host, name, VIP, 80);
    }
    client = await programs.client(net.host("client"));
    doors = testDoors({ log: console.log });
  }, 60_000);
  afterAll(async () => {
    await programs.stop();
    net.remove();
    doors?.close();
  });

  const set = (states: Record<number, BackendState>) =>
    testService(
      "web",
      vips,
      Object.entries(states).map(([id, state]) => testBackend(Number(id), `125.12.12.${19 + Number(id)}`, null, state)),
    );
  const apply = async (applier: Applier<PlaneService>, states: Record<number, BackendState>) => {
    const prepared = await applier.prepare([set(states)]);
    if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
    await prepared.commit();
  };
  const ask = () => client({ do: "ask", size: 10 });
  const open = (count: number) => client({ do: "open", address: VIP, port: 80, count });
  const names = (answers: string[]) => answers.map((answer) => answer.split(" ")[0]!);

  test("connections keep their real server while real servers come, drain, fall, recover and go", async () => {
    await director.within(async () => {
      const applier = await createXdpApplier(doors, "direct");
      await apply(applier, { 1: "up", 2: "up" });
      expect(applier.describe("web")).toEqual([
        "xdp native on eth0",
        expect.stringMatching(/^kernel memory 14\d(\.\d)?KiB of \d+\.\dMiB$/),
      ]);
      expect(new Set(await open(24))).toEqual(new Set(["open"]));
      const first = await ask();
      expect(first.every((answer) => /^rs[12] 125\.12\.12\.100:/.test(answer))).toBe(true);
      const kept = async (): Promise<void> => expect(names(await ask()).slice(0, 24)).toEqual(names(first));

      await apply(applier, { 1: "up", 2: "up", 3: "up" });
      await kept();
      await open(24);
      expect(new Set(names(await ask()).slice(24))).toContain("rs3");

      await applier.refresh([set({ 1: "draining", 2: "up", 3: "up" })]);
      await kept();
      await open(24);
      expect(names(await ask()).slice(48)).not.toContain("rs1");

      await apply(applier, { 2: "up", 3: "up" });
      await kept();
      await applier.refresh([set({ 2: "down", 3: "up" })]);
      await kept();
      await open(12);
      expect(new Set(names(await ask()).slice(72))).toEqual(new Set(["rs3"]));
      await applier.refresh([set({ 2: "up", 3: "up" })]);
      await kept();
      await applier.release();

      // The daemon dies here: what is pinned forwards on, and the next one takes it over.
      await kept();
      expect(new Set(await open(4))).toEqual(new Set(["open"]));
      const next = await createXdpApplier(doors, "direct");
      await apply(next, { 2: "up", 3: "up" });
      await kept();
      expect((await next.counts()).get("web")?.service.packetsIn).toBeGreaterThan(100);

      // UDP that nobody knows goes to the base of an open window, here also the draining one, for up to its idle time.
      const datagrams = await client({ do: "udp", address: VIP, port: 80, count: 8, size: 100 });
      expect(datagrams.every((answer) => /^rs[123] 100$/.test(answer))).toBe(true);
      const fragmented = await client({ do: "udp", address: VIP, port: 80, count: 8, size: 4000 });
      expect(fragmented.every((answer) => /^rs[123] 4000$/.test(answer))).toBe(true);
      await next.remove();
      expect(director.sh("ip address show dev eth0")).not.toContain(VIP);
      expect(director.sh("ip link show dev eth0")).not.toContain("xdp");
    });
  }, 120_000);

  test("a standby director that is promoted takes over the open connections", async () => {
    const second = net.host("second");
    net.plug(second, net.host("switch"), "eth0", "125.12.12.13/24");
    const spare = testDoors({ standby: true });
    const talker = await programs.client(net.host("client"));
    const state = { 1: "up", 2: "up", 3: "up" } as const;
    const active = await director.within(async () => {
      const applier = await createXdpApplier(doors, "direct");
      await apply(applier, state);
      return applier;
    });
    expect(new Set(await talker({ do: "open", address: VIP, port: 80, count: 100 }))).toEqual(new Set(["open"]));
    const before = names(await talker({ do: "ask", size: 10 }));
    // Its heart stops first: what is pinned goes on, and nothing of it runs beside the test in the wrong namespace.
    await director.within(() => active.release());
    await second.within(async () => {
      const applier = await createXdpApplier(spare, "direct");
      // The checks of a starting director find one real server after the other: that must not open its slots.
      await apply(applier, { 1: "up", 2: "down", 3: "down" });
      await applier.refresh([set({ 1: "up", 2: "up", 3: "down" })]);
      await applier.refresh([set(state)]);
      expect(second.sh("ip address show dev eth0")).not.toContain(VIP);
      director.sh("ip link set eth0 down");
      await applier.setRole!("active");
      expect(second.sh("ip address show dev eth0")).toContain(VIP);
      expect(names(await talker({ do: "ask", size: 10 }))).toEqual(before);
      expect((await applier.counts()).get("web")?.service.packetsIn).toBeGreaterThan(100);
      await applier.setRole!("standby");
      expect(second.sh("ip address show dev eth0")).not.toContain(VIP);
      await applier.remove();
    });
    director.sh("ip link set eth0 up");
    await director.within(async () => (await createXdpApplier(doors, "direct")).remove());
    spare.close();
  }, 120_000);

  test("a check reaches the VIP at the real server it asks for, and fails where the VIP is missing", async () => {
    await director.within(async () => {
      const checker = await programs.client(net.host("checker"));
      const applier = await createXdpApplier(doors, "direct");
      await apply(applier, { 1: "up", 2: "up", 3: "up" });
      await applier.joinChecker!(checker.pid);
      for (const round of [1, 2]) {
        for (const id of [1, 2, 3]) {
          const target = applier.probe!("web", id)!;
          expect(target.source.address).toBe("125.12.12.12");
          const [told] = await checker({ do: "probe", ...target });
          expect(`${round}: ${told}`).toBe(`${round}: rs${id} 125.12.12.12:${target.source.port} 1`);
        }
      }
      // It forwards what is not its own: the check must not be answered by another by that way.
      const lone = net.host("rs3");
      lone.sh("echo 1 > /proc/sys/net/ipv4/ip_forward");
      lone.sh(`ip address del ${VIP}/32 dev lo`);
      const [told] = await checker({ do: "probe", ...applier.probe!("web", 3)! });
      expect(told).toStartWith("dead:");
      await applier.remove();
    });
  }, 60_000);
});
