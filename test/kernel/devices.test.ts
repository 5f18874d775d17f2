import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createXdpApplier } from "../../src/dataplane/applier.ts";
import { testBackend, testDoors, testService } from "../../src/dataplane/testing/doors.ts";
import { TestNetwork } from "../../src/dataplane/testing/network.ts";
import { patience } from "../../src/dataplane/testing/patience.ts";
import { type Client, Programs } from "../../src/dataplane/testing/programs.ts";
import { eventually, type TestNetns } from "../../src/system/netns-testing.ts";
import { outside } from "./only-guest.ts";

const VIP = "125.12.12.77";
const vips = (["tcp", "udp"] as const).map((protocol) => ({ address: VIP, port: 80, protocol }));
const TAG = 10;

/** The client is untagged; the real servers are in VLAN 10, by the kernel's own 8021q devices on every host. */
const onVlan = (host: TestNetns, device: string, address: string): void => {
  // A tag that stands beside the packet instead of in it gets lost where XDP reads the frame.
  host.sh(`ethtool -K ${device} rxvlan off txvlan off >/dev/null
    ip link add link ${device} name ${device}.${TAG} type vlan id ${TAG}
    ip address add ${address}/24 dev ${device}.${TAG}; ip link set ${device}.${TAG} up`);
};

describe.skipIf(outside !== null)("direct over real devices", () => {
  const net = new TestNetwork();
  const programs = new Programs();
  let client: Client;

  beforeAll(async () => {
    const lan = net.switch("lan");
    const plain = net.host("plain");
    net.plug(plain, lan, "eth0", "125.12.12.12/24");
    onVlan(plain, "eth0", "10.10.0.1");
    const bonded = net.host("bonded");
    bonded.sh("ip link add bond0 type bond mode active-backup miimon 20");
    for (const device of ["eth0", "eth1"]) {
      net.plug(bonded, lan, device, "");
      bonded.sh(`ip link set ${device} down; ip link set ${device} master bond0; ip link set ${device} up`);
    }
    bonded.sh("ip link set bond0 up; ip address add 125.12.12.13/24 dev bond0");
    const outer = net.host("client");
    net.plug(outer, lan, "eth0", "125.12.12.100/24");
    onVlan(outer, "eth0", "10.10.0.100");
    for (const last of [20, 21]) {
      const host = net.host(`rs${last}`);
      net.plug(host, lan, "eth0", `125.12.12.${last}/24`);
      onVlan(host, "eth0", `10.10.0.${last}`);
      net.holdVip(host, VIP);
      await programs.server(host, `rs${last}`, VIP, 80);
    }
    client = await programs.client(outer);
  }, patience(120_000));
  afterAll(async () => {
    await programs.stop();
    net.remove();
  });

  async function balanced(name: string, network: string, work: (attached: string[]) => Promise<void>): Promise<void> {
    const doors = testDoors();
    await net.host(name).within(async () => {
      const applier = await createXdpApplier(doors, "direct");
      try {
        const backends = [20, 21].map((last) => testBackend(last, `${network}.${last}`, null));
        const prepared = await applier.prepare([testService("web", vips, backends)]);
        if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
        await prepared.commit();
        expect(await client({ do: "open", address: VIP, port: 80, count: 16 })).toEqual(new Array(16).fill("open"));
        await work(applier.describe("web"));
      } finally {
        // A plane that is left runs on, and would take the interfaces of whoever is tested next.
        await client({ do: "close" });
        await applier.remove();
        doors.close();
      }
    });
    net.host("client").sh("ip neigh flush dev eth0");
  }

  const names = async (): Promise<string[]> =>
    (await client({ do: "ask", size: 3000 })).map((answer) => answer.split(" ")[0]!);

  test("real servers behind an 8021q device get tagged frames from the interface below it", async () => {
    const seen = (last: number): number =>
      Number(/eth0\.10:\s*\d+\s+(\d+)/.exec(net.host(`rs${last}`).sh("cat /proc/net/dev"))![1]);
    const before = [seen(20), seen(21)];
    await balanced("plain", "10.10.0", async (attached) => {
      expect(attached).toContain("xdp native on eth0");
      expect(new Set(await names())).toEqual(new Set(["rs20", "rs21"]));
    });
    expect(seen(20)).toBeGreaterThan(before[0]! + 10);
    expect(seen(21)).toBeGreaterThan(before[1]! + 10);
  });

  test("a real server behind two VLAN devices, or one of 802.1ad, is refused by the device's name", async () => {
    const plain = net.host("plain");
    plain.sh(`ip link add link eth0.${TAG} name eth0.two type vlan id 7; ip link set eth0.two up
      ip link add link eth0 name eth0.ad type vlan proto 802.1ad id 8; ip link set eth0.ad up
      ip address add 10.20.0.1/24 dev eth0.two; ip address add 10.21.0.1/24 dev eth0.ad`);
    const doors = testDoors();
    await plain.within(async () => {
      const applier = await createXdpApplier(doors, "direct");
      try {
        for (const [address, device] of [
          ["10.20.0.20", `eth0.${TAG}`],
          ["10.21.0.20", "eth0.ad"],
        ] as const) {
          const refused = await applier.prepare([testService("web", vips, [testBackend(1, address, null)])]);
          expect(Array.isArray(refused) && refused.map(({ message }) => message)).toEqual([
            `interface ${device}: frames with two VLAN tags, or an 802.1ad one, are not served`,
          ]);
        }
      } finally {
        await applier.remove();
        doors.close();
      }
    });
    plain.sh("ip link del eth0.two; ip link del eth0.ad");
  });

  test("a bond has the program itself, and its connections outlive the link that carried them", async () => {
    const bonded = net.host("bonded");
    await balanced("bonded", "125.12.12", async (attached) => {
      expect(attached).toContain("xdp native on bond0");
      const first = await names();
      expect(new Set(first)).toEqual(new Set(["rs20", "rs21"]));
      const active = (): string =>
        /"active_slave":\s*"(\w+)"/.exec(bonded.sh("ip -details -json link show bond0"))?.[1] ?? "";
      const carrier = active();
      bonded.sh(`ip link set ${carrier} down`);
      expect(await eventually(() => active() !== carrier && active() !== "", 20_000)).toBe(true);
      expect(await names()).toEqual(first);
    });
  });
});
