import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { attachDecap, decapCounts, detachDecap } from "./decap.ts";
import { Limit } from "./generated/layout.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";
import { type Client, Programs } from "./testing/programs.ts";
import { type Filter, parseFilter } from "./trace/filter.ts";
import type { TraceRecord } from "./trace/record.ts";
import { Tracer } from "./trace/tracer.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: two directors end to end: ${missing}`);
const VIP = "125.12.12.77";
const directors = { A: "125.12.12.12", B: "125.12.12.13" };
type Name = keyof typeof directors;
/** The first two on one link, the third in another network. */
const reals = ["198.51.100.21", "198.51.100.22", "203.0.113.23"];
const ids = [1, 2, 3];
const CONNECTIONS = 60;

describe.skipIf(missing !== null)("two directors, and a router that chooses anew", () => {
  const net = new TestNetwork();
  const programs = new Programs();
  const doors: ReturnType<typeof testDoors>[] = [];
  const applies = {} as Record<Name, (services: object[]) => Promise<string[]>>;
  let router: TestNetns;
  let client: Client;

  beforeAll(async () => {
    const lan = net.switch("lan");
    const home = net.switch("home");
    router = net.host("router");
    net.plug(router, lan, "eth0", "125.12.12.1/24");
    net.plug(router, home, "eth1", "202.20.20.1/24");
    net.plug(net.host("client"), home, "eth0", "202.20.20.20/24");
    net.host("client").sh("ip route add default via 202.20.20.1");
    router.sh("echo 1 > /proc/sys/net/ipv4/ip_forward");
    const far = [net.switch("far0"), net.switch("far1")];
    net.plug(router, far[0]!, "eth2", "198.51.100.1/24");
    net.plug(router, far[1]!, "eth3", "203.0.113.1/24");
    for (const [i, address] of reals.entries()) {
      const host = net.host(`real${i + 1}`);
      net.plug(host, far[i < 2 ? 0 : 1]!, "eth0", `${address}/24`);
      host.sh(`ip route add default via ${address.replace(/\d+$/, "1")} advmss 1400`);
      net.holdVip(host, VIP);
      const own = testDoors();
      doors.push(own);
      const sources = Object.values(directors);
      await host.within(() => attachDecap({ device: "eth0", bpfDir: own.bpfDir, vips: [VIP], sources }));
      await programs.server(host, `real${i + 1}`, VIP, 80);
    }
    for (const [name, address] of Object.entries(directors)) {
      const host = net.host(name);
      net.plug(host, lan, "eth0", `${address}/24`);
      host.sh("ip route add default via 125.12.12.1");
      const own = testDoors();
      doors.push(own);
      applies[name as Name] = (await programs.director(host, own.bpfDir, own.runDir, "tunnel")).apply;
    }
    client = await programs.client(net.host("client"));
  }, patience(60_000));
  afterAll(async () => {
    await programs.stop();
    net.remove();
    for (const one of doors) one.close();
  });

  /** What a director believes: who is healthy. */
  const believe = async (director: Name, healthy: readonly number[], secondChance: boolean): Promise<void> => {
    const backends = ids.map((id) => testBackend(id, reals[id - 1]!, null, healthy.includes(id) ? "up" : "down"));
    const service = {
      ...testService("web", [{ address: VIP, port: 80, protocol: "tcp" }], backends),
      guePort: Limit.GUE_PORT,
      ...(secondChance ? { secondChance: true as const } : {}),
    };
    expect(await applies[director]([service])).toEqual([]);
  };
  const route = (director: Name): string => router.sh(`ip route replace ${VIP}/32 via ${directors[director]}`);
  const open = (count = CONNECTIONS): Promise<string[]> => client({ do: "open", address: VIP, port: 80, count });
  const dead = (answers: string[]): string[] => answers.filter((answer) => answer.startsWith("dead"));
  const sentOn = (): number =>
    doors.slice(0, reals.length).reduce((sum, { bpfDir }) => sum + decapCounts(bpfDir)!.sentOn, 0);

  test(
    "without a second chance connections break, where one director has not heard",
    async () => {
      await believe("A", [2, 3], false);
      await believe("B", ids, false);
      route("A");
      expect(dead(await open())).toEqual([]);
      expect(dead(await client({ do: "ask", size: 10 }))).toEqual([]);
      route("B");
      expect(dead(await client({ do: "ask", size: 10 })).length).toBeGreaterThan(CONNECTIONS / 10);
      expect(sentOn()).toBe(0);
      await client({ do: "close" });
    },
    patience(60_000),
  );

  test(
    "with it none breaks, whoever has heard of what",
    async () => {
      await believe("A", [2, 3], true);
      await believe("B", ids, true);
      route("A");
      expect(dead(await open())).toEqual([]);
      route("B");
      const first = await client({ do: "ask", size: 10 });
      expect(dead(first)).toEqual([]);
      // Each was sent on at least once by the real server that B took for the first.
      expect(sentOn()).toBeGreaterThan(CONNECTIONS / 10);
      const records: TraceRecord[] = [];
      const filter = parseFilter("verdict second-chance and tcp", []) as Filter;
      const tracer = Tracer.open(doors[0]!.bpfDir, (record) => records.push(record))!;
      expect(tracer.start({ filter, bytes: 96, rate: 1000 }, () => 0)).toBeNull();
      expect(dead(await client({ do: "ask", size: 10 }))).toEqual([]);
      tracer.poll();
      tracer.stop();
      expect(records.length).toBeGreaterThan(0);
      for (const { source, target, targetPort, left } of records)
        expect([source, target, targetPort, left]).toEqual(["202.20.20.20", VIP, 80, null]);
      const history: [Name, number[]][] = [
        ["B", [1, 3]],
        ["A", [1, 2]],
        ["A", [1]],
        ["B", [2]],
        ["B", ids],
        ["A", [3]],
      ];
      for (const [i, [heard, healthy]] of history.entries()) {
        await believe(heard, healthy, true);
        expect(dead(await open(10))).toEqual([]);
        route(i % 2 === 0 ? "A" : "B");
        const answers = await client({ do: "ask", size: i === 3 ? 20_000 : 10 });
        expect(dead(answers)).toEqual([]);
        // At the real server where it began.
        if (i !== 3) expect(answers.slice(0, CONNECTIONS).map(nameOf)).toEqual(first.map(nameOf));
      }
    },
    patience(60_000),
  );

  test("taken down, nothing of it is left on the device", async () => {
    const host = net.host("real1");
    expect(host.sh("tc filter show dev eth0 ingress")).toContain("second_chance");
    await host.within(() => detachDecap({ bpfDir: doors[0]!.bpfDir }));
    expect(host.sh("tc qdisc show dev eth0")).not.toContain("clsact");
    expect(host.sh("ip link show dev eth0")).not.toContain("xdp");
  });
});

/** `real2 …` -> `real2`. */
const nameOf = (answer: string): string => answer.split(" ")[0]!;
