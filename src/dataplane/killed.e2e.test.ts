import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, renameSync, unlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { sleep } from "../runtime/clock.ts";
import { lookupElement, openPinned } from "../system/libbpf.ts";
import { btfOf, mapInfo } from "../system/map-info.ts";
import { closeFd, mapDescriptor } from "../system/net.ts";
import { eventually, netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { ControlFlag, Place } from "./generated/layout.ts";
import { phaseOf, SETTLED, SPARSE, WINDOW } from "./phases.ts";
import { pinsOf } from "./pins.ts";
import { PlaneView } from "./plane-view.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { otherVersion } from "./testing/other-version.ts";
import { type Client, Programs } from "./testing/programs.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: a killed director: ${missing}`);
const VIP = "125.12.12.77";
const IDLE = 3000;

describe.skipIf(missing !== null)("a director that is killed", () => {
  const net = new TestNetwork();
  const programs = new Programs();
  let host: TestNetns;
  let client: Client;
  let doors: ReturnType<typeof testDoors>;
  let director: Awaited<ReturnType<Programs["director"]>>;
  /** Who each connection is with. */
  let known: string[] = [];

  beforeAll(async () => {
    doors = testDoors();
    const lan = net.switch("lan");
    host = net.host("director");
    net.plug(host, lan, "eth0", "125.12.12.12/24");
    net.plug(net.host("client"), lan, "eth0", "125.12.12.100/24");
    for (const id of [1, 2, 3]) {
      net.plug(net.host(`rs${id}`), lan, "eth0", `125.12.12.${20 + id}/24`);
      net.holdVip(net.host(`rs${id}`), VIP);
      await programs.server(net.host(`rs${id}`), `rs${id}`, VIP, 80);
    }
    client = await programs.client(net.host("client"));
    await start();
  }, 60_000);
  afterAll(async () => {
    await programs.stop();
    net.remove();
    doors?.close();
  });

  const start = async (program?: string): Promise<void> => {
    director = await programs.director(host, doors.bpfDir, doors.runDir, "direct", program);
  };
  const apply = async (ids: number[], idle = IDLE): Promise<void> => {
    const backends = ids.map((id) => testBackend(id, `125.12.12.${20 + id}`, null));
    const service = testService("web", [{ address: VIP, port: 80, protocol: "tcp" }], backends);
    expect(await director.apply([{ ...service, idle: { tcp: idle, udp: idle } }])).toEqual([]);
  };
  const open = async (count: number): Promise<string[]> => {
    expect(new Set(await client({ do: "open", address: VIP, port: 80, count }))).toEqual(new Set(["open"]));
    const all = await names();
    expect(all.slice(0, known.length)).toEqual(known);
    const made = all.slice(known.length);
    known = all;
    return made;
  };
  const names = async (): Promise<string[]> =>
    (await client({ do: "ask", size: 100 })).map((text) => text.split(" ")[0]!);
  /** While this goes on, all connections do: none is silent for as long as a cell lives. */
  const speaking = async <T>(work: Promise<T>): Promise<T> => {
    let over = false;
    const end = (): void => {
      over = true;
    };
    work.then(end, end);
    while (!over) expect(await names()).toEqual(known);
    return work;
  };
  /** How many slots the kernel's table in force has in each phase, and how many backends. */
  const inForce = () => {
    const view = PlaneView.open(doors.bpfDir)!;
    const [service] = view.services();
    const words = view.slotsOf(service!);
    const count = (phase: number): number => words.filter((word) => phaseOf(word) === phase).length;
    const backends = view.backendsOf(service!).size;
    view.close();
    return { settled: count(SETTLED), window: count(WINDOW), sparse: count(SPARSE), backends };
  };
  /** Dead: old connections go on, new ones reach those in force. Alive again: all is as it was, and nobody has drained. */
  async function killed(ids: number[]): Promise<void> {
    await director.kill();
    // Alive it closes windows and settles slots at any time.
    const before = inForce();
    expect(await names()).toEqual(known);
    const reached = new Set(await open(30));
    expect(reached).toEqual(new Set(ids.map((id) => `rs${id}`)));
    expect(inForce()).toEqual(before);
    await speaking(start());
    expect(inForce()).toEqual(before);
    await apply(ids);
    expect(inForce().backends).toBe(before.backends);
    expect(await names()).toEqual(known);
  }

  /** Until all windows have closed: connections speak all the time, so their cells outlive them. */
  const sparse = async (): Promise<void> => {
    const seen = await eventually(async () => {
      expect(await names()).toEqual(known);
      const { window, sparse } = inForce();
      return window === 0 && sparse > 0;
    }, 60_000);
    expect(seen).toBe(true);
  };

  test("settled, in a window and sparse: no connection breaks, and the next one takes up what it finds", async () => {
    await apply([1, 2]);
    expect(new Set(await open(24))).toEqual(new Set(["rs1", "rs2"]));
    expect(inForce()).toMatchObject({ window: 0, sparse: 0, backends: 2 });
    await killed([1, 2]);

    await apply([1, 3]);
    expect(inForce()).toMatchObject({ sparse: 0, backends: 3 });
    expect(inForce().window).toBeGreaterThan(0);
    await killed([1, 3]);

    await sparse();
    expect(inForce().backends).toBe(3);
    await killed([1, 3]);
  }, 120_000);

  const settle = async (): Promise<void> => {
    await client({ do: "close" });
    known = [];
    const settled = await eventually(() => {
      const { window, sparse, backends } = inForce();
      return window === 0 && sparse === 0 && backends === 2;
    }, 60_000);
    expect(settled).toBe(true);
  };

  /** A version with another layout of everything. */
  const another = () =>
    otherVersion([
      ["control", "flags", "heartbeat"],
      ["service", "used", "last_full"],
      ["service", "choice", "no_room"],
      ["table", "brief", "backends"],
      ["backend", "next_hop", "service"],
      ["next_hop", "mtu", "vlan"],
      ["flow_bucket", "tag", "isn"],
      ["flow_bucket", "cell", "seen"],
    ]);
  const folders = (): string[] => readdirSync(doors.bpfDir).filter((name) => name.startsWith("maps-"));

  test("its successors have other layouts of everything, and back: flows and cells go over in every phase", async () => {
    await settle();
    const other = another();
    const { maps } = pinsOf(doors.bpfDir);
    /** The other version takes over from the one that was killed, is killed too, and ours takes over again. */
    const thereAndBack = async (ids: number[]): Promise<void> => {
      const { backends } = inForce();
      const reached = new Set(ids.map((id) => `rs${id}`));
      for (const program of [other.director, undefined]) {
        await director.kill();
        await speaking(start(program));
        // Before anything is applied: what was taken over is all it has.
        expect(folders()).toEqual(program ? [expect.not.stringContaining(basename(maps))] : [basename(maps)]);
        expect(await names()).toEqual(known);
        expect(new Set(await open(20))).toEqual(reached);
      }
      expect(inForce().backends).toBe(backends);
      await apply(ids);
      expect(await names()).toEqual(known);
    };
    try {
      await apply([1, 3]);
      expect(new Set(await open(24))).toEqual(new Set(["rs1", "rs3"]));
      await thereAndBack([1, 3]);
      await apply([1, 2]);
      expect(inForce().window).toBeGreaterThan(0);
      await thereAndBack([1, 2]);
      await sparse();
      await thereAndBack([1, 2]);
      expect(inForce().sparse).toBeGreaterThan(0);
    } finally {
      other.remove();
    }
  }, 180_000);

  /** The kernel's number of the program that packets go to. */
  const inPlace = (): number => {
    const [places, id] = [openPinned(pinsOf(doors.bpfDir).places)!, new Uint8Array(4)];
    lookupElement(places, new Uint8Array(Uint32Array.of(Place.PLACE_BALANCE).buffer), id);
    closeFd(places);
    return new Uint32Array(id.buffer)[0]!;
  };
  /** Are the cells held still in the one folder of maps there is now? Asked of its control words, wherever theirs are. */
  const stillness = (): (() => boolean) => {
    const fd = openPinned(join(doors.bpfDir, folders()[0]!, "control_words"))!;
    const flags = btfOf(mapInfo(fd).btf)
      .struct("control")!
      .leaves.find(({ path }) => path === "flags")!;
    const words = new Uint32Array(mapDescriptor(fd, 4096));
    closeFd(fd);
    return () => (words[flags.offset / 4]! & ControlFlag.CONTROL_FROZEN) !== 0;
  };

  test("its successor is killed while it holds the cells still: nothing is lost, whichever version comes next", async () => {
    const other = another();
    await apply([1, 3]);
    await settle();
    expect(new Set(await open(24))).toEqual(new Set(["rs1", "rs3"]));
    // Windows must not close before the next one is killed.
    const idle = 2 * IDLE;
    await apply([1, 2], idle);
    expect(new Set(await open(24))).toEqual(new Set(["rs1", "rs2"]));
    expect(inForce().window).toBeGreaterThan(0);
    /** By this version; the one before it goes on alone. */
    const broken = async (program?: string): Promise<void> => {
      await director.kill();
      const [before, still, own] = [inPlace(), stillness(), folders()];
      const paths = [doors.bpfDir, doors.runDir] as const;
      expect(await speaking(programs.killedDirector(host, paths, "direct", program, still))).toBe(true);
      expect([still(), inPlace()]).toEqual([true, before]);
      expect(folders()).toEqual(expect.arrayContaining(own));
      expect(folders().length).toBe(2);
      // No cell for those who come now: they belong where those without a cell do.
      expect(new Set(await open(20))).toEqual(new Set(["rs1", "rs3"]));
    };
    const whole = async (program?: string): Promise<void> => {
      await speaking(start(program));
      expect(folders().length).toBe(1);
      expect(await names()).toEqual(known);
      expect(new Set(await open(20))).toEqual(new Set(["rs1", "rs2"]));
      expect(await names()).toEqual(known);
    };
    try {
      await broken(other.director);
      await speaking(sleep(1.2 * idle));
      await whole();
      await broken(other.director);
      await whole(other.director);
      await director.kill();
      await speaking(start());
      await apply([1, 2]);
      expect(await names()).toEqual(known);
    } finally {
      other.remove();
    }
  }, 180_000);

  test("what cannot be taken over forwards on, until its successor knows every VIP", async () => {
    await apply([1, 3]);
    await settle();
    expect(new Set(await open(24))).toEqual(new Set(["rs1", "rs3"]));
    await director.kill();
    const { maps, root } = pinsOf(doors.bpfDir);
    const other = join(root, "maps-of-another-layout");
    renameSync(maps, other);
    // Without its next hops it is not whole.
    unlinkSync(join(other, "next_hops"));
    await start();
    expect(existsSync(other)).toBe(true);
    expect(await names()).toEqual(known);
    expect(new Set(await open(24))).toEqual(new Set(["rs1", "rs3"]));
    await apply([1, 3]);
    expect(existsSync(other)).toBe(false);
    expect(inForce()).toMatchObject({ window: 0, sparse: 0, backends: 2 });
    expect(await names()).toEqual(known);
    expect(new Set(await open(24))).toEqual(new Set(["rs1", "rs3"]));
  }, 120_000);
});
