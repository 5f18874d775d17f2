import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { BackendState } from "../core/backend.ts";
import { eventually, netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";
import { Pinger } from "./testing/ping.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: echoes of VIPs: ${missing}`);
const VIP = "125.12.12.77";
const VIP6 = "2001:db8:12::77";
const director4 = "125.12.12.12";
const director6 = "2001:db8:12::12";

describe.skipIf(missing !== null)("an echo request", () => {
  const net = new TestNetwork();
  let director: TestNetns;
  let client: TestNetns;
  let doors: ReturnType<typeof testDoors>;
  let pinger: Pinger;

  beforeAll(() => {
    const lan = net.switch("lan");
    director = net.host("director");
    client = net.host("client");
    net.plug(director, lan, "eth0", `${director4}/24`);
    net.plug(client, lan, "eth0", "125.12.12.100/24");
    net.plug(net.host("real"), lan, "eth0", "125.12.12.20/24");
    director.sh(`ip -6 address add ${director6}/64 dev eth0 nodad`);
    client.sh("ip -6 address add 2001:db8:12::100/64 dev eth0 nodad");
    // Requests reach the director whether it has the VIP or not.
    const [link] = director.sh("ip link show dev eth0").match(/(?<=link\/ether )\S+/)!;
    for (const vip of [VIP, VIP6]) client.sh(`ip neigh replace ${vip} lladdr ${link} dev eth0`);
    doors = testDoors({ log: console.log });
    pinger = client.inside(() => new Pinger());
  }, patience(60_000));
  afterAll(() => {
    pinger?.close();
    net.remove();
    doors?.close();
  });

  /** Are the VIPs' echoes answered? Each is asked before the director's own address, so its answer would come first. */
  const answers = async (): Promise<boolean[]> => {
    const told: boolean[] = [];
    for (const [vip, own] of [
      [VIP, director4],
      [VIP6, director6],
    ] as const) {
      const asked: number[] = [];
      const heard = await eventually(() => {
        asked.push(pinger.ask(vip));
        const sure = pinger.ask(own);
        return eventually(() => pinger.answered(sure), 500);
      }, patience(20_000));
      expect(heard).toBe(true);
      told.push(asked.some((number) => pinger.answered(number)));
    }
    return told;
  };

  test(
    "to a VIP is answered while its service is in force, and neither before nor after, nor by a standby",
    async () => {
      await director.within(async () => {
        expect(await answers()).toEqual([false, false]);
        const applier = await createXdpApplier(doors, "direct");
        const apply = async (vips: readonly string[], state: BackendState): Promise<void> => {
          const listeners = vips.map((address) => ({ address, port: 80, protocol: "tcp" as const }));
          const backends = [testBackend(1, "125.12.12.20", null, state)];
          const prepared = await applier.prepare(vips.length === 0 ? [] : [testService("web", listeners, backends)]);
          if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
          await prepared.commit();
        };
        await apply([VIP, VIP6], "up");
        expect(await answers()).toEqual([true, true]);
        // In force, though nobody can take connections now.
        await apply([VIP, VIP6], "down");
        expect(await answers()).toEqual([true, true]);
        await applier.setRole!("standby");
        expect(await answers()).toEqual([false, false]);
        await applier.setRole!("active");
        await apply([VIP6], "up");
        expect(await answers()).toEqual([false, true]);
        await apply([], "up");
        expect(await answers()).toEqual([false, false]);
        await applier.remove();
      });
    },
    patience(60_000),
  );
});
