import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { programById } from "../system/libbpf.ts";
import { closeFd, ifindexOf } from "../system/net.ts";
import { netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { testRun } from "../system/test-run.ts";
import { Entry } from "./attach.ts";
import { Kernel } from "./kernel.ts";
import { pinsOf } from "./pins.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { mac } from "./testing/fixtures.ts";
import { ACK, frame, SYN, tcp, udp } from "./testing/frames.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { otherVersion } from "./testing/other-version.ts";
import { Programs } from "./testing/programs.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: a version takes over from another: ${missing}`);
const VIP = "125.12.12.77";
const ports = Array.from({ length: 40 }, (_, i) => 2000 + i);

/** Hands on the program that forwards now. */
function withFormer(entry: Entry, work: (former: number) => void): void {
  const former = programById(entry.programIn("PLACE_BALANCE")!);
  work(former);
  closeFd(former);
}

/** A kernel side that does something else once the former cells are held still, and before the former program is replaced. */
class Watched extends Kernel {
  static held: (former: number) => void = () => {};
  static meanwhile: (former: number) => void = () => {};

  protected override letHandshakesEnd(): void {
    withFormer(this.entry, Watched.held);
    super.letHandshakesEnd();
  }

  override takeOver(): void {
    withFormer(this.entry, Watched.meanwhile);
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

  /** The other version serves, and is killed. */
  const former = async (protocol: "udp" | "tcp"): Promise<void> => {
    const director = await programs.director(host, doors.bpfDir, doors.runDir, "direct", other.director);
    const backends = [1, 2, 3].map((id) => testBackend(id, `125.12.12.${20 + id}`, null));
    const service = testService("web", [{ address: VIP, port: 80, protocol }], backends);
    expect(await director.apply([{ ...service, scheduler: { name: "round-robin", options: {} } }])).toEqual([]);
    await director.kill();
  };
  /** The link address that each flow's packet goes to. */
  const reached = (program: number, packetOf: (sourcePort: number) => number[]): string[] =>
    host.inside(() =>
      ports.map((sourcePort) => {
        const { output } = testRun(program, frame(mac.gateway, mac.director, packetOf(sourcePort)), ifindexOf("eth0"));
        return Buffer.from(output.subarray(0, 6)).toString("hex");
      }),
    );
  const way = { source: "125.12.12.100", target: VIP };
  const datagram = (sourcePort: number): number[] => udp(way, { sourcePort, targetPort: 80 }, [1]);
  const segment =
    (flags: number, sequence: number) =>
    (sourcePort: number): number[] =>
      tcp(way, { sourcePort, targetPort: 80 }, flags, sequence);

  test("datagrams of a flow that began while cells were held still go on where it began", async () => {
    await former("udp");
    let begun: string[] = [];
    Watched.meanwhile = (program) => {
      begun = reached(program, datagram);
    };
    const heir = host.inside(() => new Watched(doors.bpfDir));
    Watched.meanwhile = () => {};
    expect(heir.refused).toBeNull();
    expect(new Set(begun).size).toBe(3);
    expect(reached(heir.programFd("balance"), datagram)).toEqual(begun);
    heir.destroy();
  }, 120_000);

  test("connections whose handshake ends while cells are held still go on, however far they have come meanwhile", async () => {
    await former("tcp");
    let begun: string[] = [];
    withFormer(new Entry(pinsOf(doors.bpfDir)), (program) => {
      begun = reached(program, segment(SYN, 1000));
    });
    Watched.held = (still) => expect(reached(still, segment(ACK, 1001))).toEqual(begun);
    const heir = host.inside(() => new Watched(doors.bpfDir));
    Watched.held = () => {};
    expect(heir.refused).toBeNull();
    expect(new Set(begun).size).toBe(3);
    expect(reached(heir.programFd("balance"), segment(ACK, 1001 + 0x100_0000))).toEqual(begun);
    heir.destroy();
  }, 120_000);
});
