import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createXdpApplier } from "../../src/dataplane/applier.ts";
import { testBackend, testDoors, testService } from "../../src/dataplane/testing/doors.ts";
import { TestNetwork } from "../../src/dataplane/testing/network.ts";
import { patience } from "../../src/dataplane/testing/patience.ts";
import { type Client, Programs } from "../../src/dataplane/testing/programs.ts";
import { runSync } from "../../src/runtime/child.ts";
import type { TestNetns } from "../../src/system/netns-testing.ts";
import { outside } from "./only-guest.ts";

const VIP = "125.12.12.77";
const GUE_PORT = 6080;

/** Real servers whose own kernel takes the tunnels off: none of our programs runs there. */
describe.skipIf(outside !== null)("tunnel to the kernel's own decapsulation", () => {
  const net = new TestNetwork();
  const programs = new Programs();
  let director: TestNetns;
  let client: Client;

  beforeAll(async () => {
    runSync(["modprobe", "-a", "fou", "ipip"]);
    const lan = net.switch("lan");
    director = net.host("director");
    net.plug(director, lan, "eth0", "125.12.12.12/24");
    net.plug(net.host("client"), lan, "eth0", "125.12.12.100/24");
    for (const last of [20, 21]) {
      const host = net.host(`rs${last}`);
      net.plug(host, lan, "eth0", `125.12.12.${last}/24`);
      net.holdVip(host, VIP);
      host.sh("ip link add ipip0 type ipip local any remote any 2>/dev/null || true; ip link set tunl0 up");
      // What leaves a tunnel came from elsewhere than the route says.
      host.sh("for dev in all tunl0 eth0; do echo 0 > /proc/sys/net/ipv4/conf/$dev/rp_filter; done");
      host.sh(`ip fou add port ${GUE_PORT} gue`);
      await programs.server(host, `rs${last}`, VIP, 80);
    }
    client = await programs.client(net.host("client"));
  }, patience(120_000));
  afterAll(async () => {
    await programs.stop();
    net.remove();
  });

  const vips = (["tcp", "udp"] as const).map((protocol) => ({ address: VIP, port: 80, protocol }));
  const backends = [20, 21].map((last) => testBackend(last, `125.12.12.${last}`, null));

  /** Packets that the host's tunnel device has taken out. */
  const unwrapped = (host: TestNetns): number => Number(/tunl0:\s*\d+\s+(\d+)/.exec(host.sh("cat /proc/net/dev"))![1]);

  for (const [name, more] of [
    ["IP in IP, by ipip", {}],
    ["GUE, by fou", { guePort: GUE_PORT }],
    ["GUE that names others, which fou does not mind", { guePort: GUE_PORT, secondChance: true as const }],
  ] as const)
    test(name, async () => {
      const hosts = [20, 21].map((last) => net.host(`rs${last}`));
      const before = hosts.map(unwrapped);
      const doors = testDoors();
      await director.within(async () => {
        const applier = await createXdpApplier(doors, "tunnel");
        try {
          const prepared = await applier.prepare([{ ...testService("web", vips, backends), ...more }]);
          if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
          await prepared.commit();
          expect(await client({ do: "open", address: VIP, port: 80, count: 16 })).toEqual(new Array(16).fill("open"));
          const told = await client({ do: "ask", size: 5000 });
          expect(new Set(told.map((answer) => answer.split(" ")[0]))).toEqual(new Set(["rs20", "rs21"]));
          const datagrams = await client({ do: "udp", address: VIP, port: 80, count: 8, size: 100 });
          expect(datagrams.every((answer) => /^rs2[01] 100$/.test(answer))).toBe(true);
        } finally {
          // A plane that is left runs on, and would hold the interface against the next test.
          await client({ do: "close" });
          await applier.remove();
          doors.close();
        }
      });
      hosts.forEach((host, i) => {
        expect(unwrapped(host)).toBeGreaterThan(before[i]! + 10);
      });
    });
});
