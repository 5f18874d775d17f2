/** A director and a generator of packets, each in a namespace of its own, joined by one cable. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { toBytes16 } from "../../src/core/address.ts";
import { compileProgram, objectPath } from "../../src/dataplane/build.ts";
import type { ForwardName, PlaneService } from "../../src/dataplane/plane-service.ts";
import { Bench, mac } from "../../src/dataplane/testing/fixtures.ts";
import { runSync } from "../../src/runtime/child.ts";
import {
  BpfObject,
  enableStats,
  linkXdp,
  programById,
  programStats,
  testRunLive,
  updateElement,
} from "../../src/system/libbpf.ts";
import { closeFd, ifindexOf, parseMac } from "../../src/system/net.ts";
import type { TestNetns } from "../../src/system/netns-testing.ts";

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

/** struct order of generator.bpf.c. */
export function orderOf(load: Load): Uint8Array {
  const bytes = new Uint8Array(72);
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
  view.setUint32(64, load.flood ?? 0, true);
  return bytes;
}

/** Bytes of an IPv4 frame with a TCP header, padded to Ethernet's least, and of an IPv6 one. */
const FRAME = 60;
const FRAME6 = 74;

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
  readonly #pass: BpfObject;
  readonly #stats: number;
  readonly #index: number;
  /** Of a program that is not the plane's; -1: none. */
  #bareLink = -1;
  #frame = FRAME;

  private constructor(bench: Bench, generator: BpfObject, pass: BpfObject, stats: number) {
    this.bench = bench;
    this.#generator = generator;
    this.#pass = pass;
    this.#stats = stats;
    this.#index = bench.peer.inside(() => ifindexOf("eth0"));
  }

  /** The director has its program attached; nothing runs yet. */
  static async create(forward: ForwardName, service: PlaneService | readonly PlaneService[]): Promise<Rig> {
    const bench = await Bench.create(forward, service);
    const generator = new BpfObject(benchObject("generator"));
    generator.load();
    const pass = new BpfObject(objectPath("pass"));
    pass.load();
    const rig = new Rig(bench, generator, pass, enableStats());
    bench.peer.inside(() => linkXdp(generator.programFd("sink"), rig.#index, "native"));
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
      this.#bareLink = linkXdp(program, ifindexOf("eth0"), "native");
    });
    return program;
  }

  /** A program that passes everything. */
  attachBare(): number {
    return this.attach(this.#pass.programFd("pass"));
  }

  /** No program: what arrives goes to the kernel's stack. */
  detach(): void {
    this.director.inside(() => {
      this.bench.plane.kernel.entry.detach("eth0");
      runSync(["ip", "link", "set", "dev", "eth0", "xdpdrv", "off"]);
    });
    if (this.#bareLink >= 0) closeFd(this.#bareLink);
    this.#bareLink = -1;
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

  /** Says what the next packets are. */
  load(load: Load): void {
    this.#frame = load.source.includes(":") ? FRAME6 : FRAME;
    updateElement(this.#generator.mapFd("orders"), new Uint8Array(4), orderOf(load));
  }

  /** Sends; returns the ns the whole way took: making, carrying, and what the director does with them. */
  send(packets: number): number {
    this.bench.heartbeat(true);
    const begun = Bun.nanoseconds();
    this.bench.peer.inside(() => testRunLive(this.#generator.programFd("generate"), this.#frame, this.#index, packets));
    return Bun.nanoseconds() - begun;
  }

  /** ns that one run of `program` takes, by the kernel's statistics, while so many packets are sent. */
  cost(program: number, packets: number): number {
    const before = programStats(program);
    this.send(packets);
    const after = programStats(program);
    const runs = after.runs - before.runs;
    if (runs < packets / 10) throw new Error(`only ${runs} of ${packets} packets arrived`);
    return (after.nanoseconds - before.nanoseconds) / runs;
  }

  close(): void {
    closeFd(this.#stats);
    this.#generator.close();
    this.#pass.close();
    this.bench.close();
  }
}
