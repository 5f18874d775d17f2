/**
 * A director and a generator of packets, each in a namespace of its own, joined by two cables. At the second one's end stands
 * a program that sends back what comes, as it came: what differs between the cables is the program alone.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { toBytes16 } from "../../src/core/address.ts";
import { compileProgram } from "../../src/dataplane/build.ts";
import type { ForwardName, PlaneService } from "../../src/dataplane/plane-service.ts";
import { Bench, mac } from "../../src/dataplane/testing/fixtures.ts";
import { runSync } from "../../src/runtime/child.ts";
import {
  BpfObject,
  enableStats,
  linkXdp,
  lookupElement,
  programById,
  programStats,
  updateElement,
} from "../../src/system/libbpf.ts";
import { closeFd, ifindexOf, parseMac } from "../../src/system/net.ts";
import { type TestNetns, wire } from "../../src/system/netns-testing.ts";
import { testRunLive } from "../../src/system/test-run.ts";

/** What the generator sends: TCP segments of established connections without data. */
export interface Load {
  /** Flow i comes from this address + i / 4096, port 1024 + i % 4096. */
  source: string;
  target: string;
  port: number;
  flows: number;
  /** Service i of several listens on `port` + i. */
  services?: number;
  /** Replies: all from `source` and this port, to as many ports as there are flows. */
  sourcePort?: number;
  /** Of so many packets one is a flow's, the others are SYNs of flows taken at random out of 4,294,967,296. 0: none is. */
  flood?: number;
}

/** struct order of generator.bpf.c. `other`: a second device that has turns with the first. */
export function orderOf(load: Load, other = 0): Uint8Array {
  const bytes = new Uint8Array(88);
  const view = new DataView(bytes.buffer);
  bytes.set(parseMac(mac.director)!, 0);
  bytes.set(parseMac(mac.gateway)!, 6);
  bytes.set(toBytes16(load.source), 12);
  bytes.set(toBytes16(load.target), 28);
  view.setUint16(44, load.port, true);
  view.setUint16(46, load.sourcePort ?? 0, true);
  view.setUint32(48, load.flows, true);
  view.setUint32(52, load.services ?? 1, true);
  view.setUint32(56, load.source.includes(":") ? 1 : 0, true);
  view.setUint32(60, load.flood ?? 0, true);
  view.setUint32(64, other, true);
  return bytes;
}

/** Bytes of an IPv4 frame with a TCP header, padded to Ethernet's least, and of an IPv6 one. */
const FRAME = 60;
const FRAME6 = 74;
/** As in the generator: bytes that a frame of a turn has too many. */
const SPARE = 4;

/** As in the generator: packets of a turn, and how many turns are kept. */
const TURN = 1024;
const TURNS = 16_384;

/** A bench's own object, compiled when its source is newer: in an emulated kernel that would take minutes. */
export function benchObject(name: "generator" | "katran-like"): string {
  const source = join(import.meta.dirname, `${name}.bpf.c`);
  const object = join(import.meta.dirname, `../../build/${name}.bpf.o`);
  const made = statSync(object, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (made < statSync(source).mtimeMs) compileProgram(source, object);
  return object;
}

export class Rig {
  readonly bench: Bench;
  readonly #generator: BpfObject;
  /** The generator's ends of the cables. */
  readonly #index: number;
  readonly #bareIndex: number;
  /** Of a program that is not the plane's; -1: none. */
  #otherLink = -1;
  #frame = FRAME;
  /** Turns that the generator has begun. */
  #turns = 0;

  private constructor(bench: Bench, generator: BpfObject) {
    this.bench = bench;
    this.#generator = generator;
    [this.#index, this.#bareIndex] = bench.peer.inside(() => [ifindexOf("eth0"), ifindexOf("eth1")]);
  }

  /** The director has its program attached; nothing runs yet. */
  static async create(forward: ForwardName, service: PlaneService | readonly PlaneService[]): Promise<Rig> {
    const bench = await Bench.create(forward, service);
    const generator = new BpfObject(benchObject("generator"));
    generator.load();
    wire(bench.netns, "eth1", "", bench.peer, "eth1", "");
    const rig = new Rig(bench, generator);
    bench.peer.inside(() => {
      for (const index of [rig.#index, rig.#bareIndex]) linkXdp(generator.programFd("sink"), index, "native");
    });
    bench.netns.inside(() => linkXdp(generator.programFd("bounce"), ifindexOf("eth1"), "native"));
    return rig;
  }

  get director(): TestNetns {
    return this.bench.netns;
  }

  /** The data plane's own program at the director's door; returns its descriptor. */
  attachPlane(): number {
    this.detach();
    this.director.inside(() => this.bench.plane.kernel.entry.attach("eth0"));
    const [link] = JSON.parse(this.director.sh("ip -json link show dev eth0")) as [{ xdp: { prog: { id: number } } }];
    return programById(link.xdp.prog.id);
  }

  /** Another program at the director's door; returns it. */
  attach(program: number): number {
    this.detach();
    this.director.inside(() => {
      this.#otherLink = linkXdp(program, ifindexOf("eth0"), "native");
    });
    return program;
  }

  /** No program: what arrives goes to the kernel's stack. */
  detach(): void {
    this.director.inside(() => {
      this.bench.plane.kernel.entry.detach("eth0");
      runSync(["ip", "link", "set", "dev", "eth0", "xdpdrv", "off"]);
    });
    if (this.#otherLink >= 0) closeFd(this.#otherLink);
    this.#otherLink = -1;
  }

  /** A program that drops every packet. */
  attachSink(): void {
    this.attach(this.#generator.programFd("sink"));
  }

  /** A program that sends every packet back as it came. */
  attachBounce(): void {
    this.attach(this.#generator.programFd("bounce"));
  }

  /** Packets that the director's interface has received and sent since it was made. */
  traffic(): { received: number; sent: number } {
    const words = /eth0:(.*)/.exec(this.director.sh("cat /proc/net/dev"))![1]!.trim().split(/\s+/).map(Number);
    return { received: words[1]!, sent: words[9]! };
  }

  /** Says what the next packets are. `turns`: the bare program's cable has every second one of them, by turns. */
  load(load: Load, { turns = false } = {}): void {
    this.#frame = (load.source.includes(":") ? FRAME6 : FRAME) + (turns ? SPARE : 0);
    this.#turns = 0;
    updateElement(this.#generator.mapFd("orders"), new Uint8Array(4), orderOf(load, turns ? this.#bareIndex : 0));
  }

  /** Sends; returns the ns the whole way took: making, carrying, and what the director does with them. */
  send(packets: number): number {
    this.bench.heartbeat(true);
    const begun = Bun.nanoseconds();
    this.bench.peer.inside(() => testRunLive(this.#generator.programFd("generate"), this.#frame, this.#index, packets));
    return Bun.nanoseconds() - begun;
  }

  /**
   * ns that one run of each program takes, by the kernel's statistics, while so many packets are sent. What is measured by
   * the clock alone must not meet them: they cost some 50 ns a run, more when all before must have ended.
   */
  costs(programs: readonly number[], packets: number): number[] {
    const stats = enableStats();
    const before = programs.map(programStats);
    this.send(packets);
    const after = programs.map(programStats);
    closeFd(stats);
    return after.map(({ nanoseconds, runs }, i) => {
      const ran = runs - before[i]!.runs;
      if (ran < packets / 10) throw new Error(`only ${ran} of ${packets} packets arrived`);
      return (nanoseconds - before[i]!.nanoseconds) / ran;
    });
  }

  /**
   * Sends whole quads of turns by both cables. ns of the whole way for each packet, in turns of `TURN` packets; the first
   * quad, which finds cold caches, and the last, whose end is the next call's begin, are left out.
   */
  sendTurns(quads: number): number[] {
    const first = this.#turns;
    this.send(quads * 4 * TURN);
    this.#turns += quads * 4;
    const took = new BigUint64Array(1);
    return Array.from({ length: (quads - 2) * 4 }, (_, i) => {
      const at = new Uint8Array(Uint32Array.of((first + 4 + i) % TURNS).buffer);
      lookupElement(this.#generator.mapFd("turns"), at, new Uint8Array(took.buffer));
      return Number(took[0]) / TURN;
    });
  }

  /** The program that stands at the second cable's end. */
  get bare(): number {
    return this.#generator.programFd("bounce");
  }

  close(): void {
    this.#generator.close();
    this.bench.close();
  }
}
