import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { programById, testRun } from "../system/libbpf.ts";
import { closeFd, ifindexOf } from "../system/net.ts";
import { netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { Kernel } from "./kernel.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { mac } from "./testing/fixtures.ts";
import { frame, udp } from "./testing/frames.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { otherVersion } from "./testing/other-version.ts";
import { Programs } from "./testing/programs.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: a version takes over from another: ${missing}`);
const VIP = "125.12.12.77";
const ports = Array.from({ length: 40 }, (_, i) => 2000 + i);

/** A kernel side that does something else between holding the former cells still and replacing the former program. */
class Watched extends Kernel {
  static meanwhile: (former: number) => void = () => {};

  override takeOver(): void {
    const former = programById(this.entry.programIn("PLACE_BALANCE")!);
    Watched.meanwhile(former);
    closeFd(former);
    super.takeOver();
  }
}

describe.skipIf(missing !== null)("a version takes over from another", () => {
  const net = new TestNetwork();
  const programs = new Programs();
  let host: TestNetns;
  let doors: ReturnType<typeof testDoors>;
  let other: ReturnType<typeof otherVersion>;

  beforeAll(() => {
    doors = testDoors();
    const lan = net.switch("lan");
    host = net.host("director");
    net.plug(host, lan, "eth0", "125.12.12.12/24");
    host.sh(`ip link set eth0 address ${mac.director}`);
    for (const id of [1, 2, 3]) net.plug(net.host(`rs${id}`), lan, "eth0", `125.12.12.${20 + id}/24`);
    other = otherVersion([
      ["service", "used", "last_full"],
      ["flow_bucket", "tag", "isn"],
    ]);
  }, 60_000);
  afterAll(async () => {
    await programs.stop();
    net.remove();
    other?.remove();
    doors?.close();
  });

  test("datagrams of a flow that began while cells were held still go on where it began", async () => {
    const director = await programs.director(host, doors.bpfDir, doors.runDir, "direct", other.director);
    const backends = [1, 2, 3].map((id) => testBackend(id, `125.12.12.${20 + id}`, null));
    const service = testService("web", [{ address: VIP, port: 80, protocol: "udp" }], backends);
    expect(await director.apply([{ ...service, scheduler: { name: "round-robin", options: {} } }])).toEqual([]);
    await director.kill();

    /** The link address that each flow's datagram goes to. */
    const reached = (program: number): string[] =>
      host.inside(() =>
        ports.map((sourcePort) => {
          const datagram = udp({ source: "125.12.12.100", target: VIP }, { sourcePort, targetPort: 80 }, [1]);
          const { output } = testRun(program, frame(mac.gateway, mac.director, datagram), ifindexOf("eth0"));
          return Buffer.from(output.subarray(0, 6)).toString("hex");
        }),
      );
    let begun: string[] = [];
    Watched.meanwhile = (former) => {
      begun = reached(former);
    };
    const heir = host.inside(() => new Watched(doors.bpfDir));
    expect(heir.refused).toBeNull();
    expect(new Set(begun).size).toBe(3);
    expect(reached(heir.programFd("balance"))).toEqual(begun);
  }, 120_000);
});
