import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { eventually, netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { type Client, Programs } from "./testing/programs.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: nat end to end: ${missing}`);
const VIP = "125.12.12.12";

describe.skipIf(missing !== null)("nat on XDP", () => {
  const net = new TestNetwork();
  const programs = new Programs();
  let director: TestNetns;
  let doors: ReturnType<typeof testDoors>;
  let client: Client;

  beforeAll(async () => {
    doors = testDoors({ log: console.log });
    const outside = net.switch("outside");
    const inside = net.switch("inside");
    director = net.host("director");
    net.plug(director, outside, "eth0", `${VIP}/24`);
    net.plug(director, inside, "eth1", "10.0.1.50/24");
    net.plug(net.host("client"), outside, "eth0", "125.12.12.100/24");
    for (const last of [210, 211, 212]) {
      const host = net.host(`b${last}`);
      net.plug(host, inside, "eth0", `10.0.1.${last}/24`);
      host.sh("ip route add default via 10.0.1.50");
      await programs.server(host, `b${last}`, `10.0.1.${last}`, 8000);
    }
    client = await programs.client(net.host("client"));
  }, 60_000);
  afterAll(async () => {
    await programs.stop();
    net.remove();
    doors?.close();
  });

  const service = (lasts: number[]) =>
    testService(
      "web",
      [
        { address: VIP, port: 80, protocol: "tcp" },
        { address: VIP, port: 80, protocol: "udp" },
      ],
      lasts.map((last) => testBackend(last, `10.0.1.${last}`, 8000)),
    );

  test("rewrites address and port both ways and keeps flows over changes", async () => {
    await director.within(async () => {
      const applier = await createXdpApplier(doors, "nat");
      const apply = async (lasts: number[]): Promise<void> => {
        const prepared = await applier.prepare([service(lasts)]);
        if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
        await prepared.commit();
      };
      await apply([210, 211]);
      expect(applier.describe("web").slice(0, 2)).toEqual(["xdp native on eth0", "xdp native on eth1"]);
      const open = { do: "open", address: VIP, port: 80, count: 24 };
      expect(new Set(await client(open))).toEqual(new Set(["open"]));
      const first = await client({ do: "ask", size: 10 });
      expect(first.every((answer) => /^b21[01] 125\.12\.12\.100:/.test(answer))).toBe(true);
      const names = (answers: string[]): string[] => answers.slice(0, 24).map((answer) => answer.split(" ")[0]!);
      await apply([210, 211, 212]);
      expect(names(await client({ do: "ask", size: 10 }))).toEqual(names(first));
      await apply([211, 212]);
      expect(names(await client({ do: "ask", size: 50_000 }))).toEqual(names(first));
      for (const size of [10, 4000]) {
        const datagrams = await client({ do: "udp", address: VIP, port: 80, count: 8, size });
        expect(datagrams.every((answer) => new RegExp(`^b21[012] ${size}$`).test(answer))).toBe(true);
      }
      // The director's own talk with a backend is not translated.
      const own = await programs.client(director);
      expect(await own({ do: "open", address: "10.0.1.211", port: 8000, count: 1 })).toEqual(["open"]);
      expect((await own({ do: "ask", size: 1 }))[0]).toStartWith("b211 10.0.1.50:");
      // Nor is what backends begin themselves.
      const out = await programs.client(net.host("b211"));
      await programs.server(net.host("client"), "far", "125.12.12.100", 9000);
      net.host("client").sh("ip route add 10.0.1.0/24 via 125.12.12.12");
      expect(await out({ do: "open", address: "125.12.12.100", port: 9000, count: 1 })).toEqual(["open"]);
      expect((await out({ do: "ask", size: 1 }))[0]).toStartWith("far 10.0.1.211:");
      const counts = (await applier.counts()).get("web")!;
      expect(counts.service.packetsIn).toBeGreaterThan(100);
      expect(counts.service.packetsOut).toBeGreaterThan(100);
      await applier.remove();
    });
  }, 60_000);

  test("least-connections: new connections go to those who have fewest, and the count falls as they end", async () => {
    await director.within(async () => {
      const applier = await createXdpApplier(doors, "nat");
      const apply = async (lasts: number[]): Promise<void> => {
        const prepared = await applier.prepare([
          { ...service(lasts), scheduler: { name: "least-connections", options: {} } },
        ]);
        if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
        await prepared.commit();
      };
      const spread = async (): Promise<Record<string, number>> => {
        const found: Record<string, number> = {};
        for (const answer of await client({ do: "ask", size: 10 }))
          found[answer.slice(0, 4)] = (found[answer.slice(0, 4)] ?? 0) + 1;
        return found;
      };
      const active = async (): Promise<unknown[]> => {
        const { service: whole, backends } = (await applier.counts()).get("web")!;
        return [whole.active, ...[...backends.values()].map((one) => one.active)];
      };
      await client({ do: "close" });
      await apply([210, 211]);
      await client({ do: "open", address: VIP, port: 80, count: 8 });
      expect(await spread()).toEqual({ b210: 4, b211: 4 });
      await apply([210, 211, 212]);
      await client({ do: "open", address: VIP, port: 80, count: 4 });
      expect(await spread()).toEqual({ b210: 4, b211: 4, b212: 4 });
      expect(await active()).toEqual([12, 4, 4, 4]);
      await apply([211, 212]);
      expect(await spread()).toEqual({ b210: 4, b211: 4, b212: 4 });
      await client({ do: "close" });
      expect(await eventually(async () => (await active())[0] === 0)).toBe(true);
      expect((await applier.counts()).get("web")!.service.connections).toBe(12);
      await applier.remove();
    });
  }, 60_000);
});
