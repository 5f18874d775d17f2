import { isIPv6, toBytes16 } from "../../core/address.ts";
import type { Code } from "../../core/codes.ts";
import { runSync } from "../../runtime/child.ts";
import { schedulers } from "../../schedulers/list.ts";
import { lookupElement, possibleCpus, updateElement } from "../../system/libbpf.ts";
import { ifindexOf, parseMac } from "../../system/net.ts";
import { createTestNetns, type TestNetns, wire } from "../../system/netns-testing.ts";
import { testRun } from "../../system/test-run.ts";
import { objectPath } from "../build.ts";
import { backend, control, IcmpError, nextHop } from "../generated/layout.ts";
import { elementBytes, getWord, setWord } from "../memory.ts";
import { Plane } from "../plane.ts";
import type { ForwardName, PlaneService } from "../plane-service.ts";
import { testDoors } from "./doors.ts";

/** One packet and what must become of it. The name is a sentence. */
export interface Fixture {
  name: string;
  input: Uint8Array;
  verdict: "pass" | "drop" | "tx";
  /** The frame that leaves. Absent: the input, byte for byte. */
  output?: Uint8Array;
  /** The reason that is counted. */
  reason?: Code;
}

export const mac = {
  gateway: "02:00:00:00:00:01",
  director: "02:00:00:00:00:0c",
  backend: "02:00:00:00:00:14",
  stranger: "02:00:00:00:00:99",
};

/** Every backend's own: its last byte is that of the address; that of `mac.backend` is 20. */
const macOf = (address: string): Uint8Array => {
  const bytes = parseMac(mac.backend)!;
  const last = toBytes16(address)[15]!;
  // The fixtures' single backends end in .20 and .210.
  if (last < 200) bytes[5] = last;
  return bytes;
};

/** ms between two signs of life: on a slow machine the program would soon take the supervisor for dead. */
const BEAT_MS = 1000;
const keyOf = (index: number): Uint8Array => new Uint8Array(new Uint32Array([index]).buffer);
const verdicts = ["aborted", "drop", "pass", "tx", "redirect"] as const;

/** A plane in a namespace of its own, whose one way in and out is `eth0`, and one backend with a known link address. */
export class Bench {
  readonly netns: TestNetns;
  readonly plane: Plane;
  /** The other end of `eth0`. */
  readonly peer: TestNetns;
  readonly #doors: ReturnType<typeof testDoors>;
  readonly #index: number;
  readonly #cpus = possibleCpus();
  readonly #errorBuckets: number;
  /** 802.1Q identifier of the network the backends are in; 0: untagged. Taken up by the next `commit`. */
  vlan = 0;
  #isInside = false;
  /** When the supervisor that is played here gave its last sign of life; infinity: it is dead. */
  #beaten = 0;

  private constructor(
    netns: TestNetns,
    peer: TestNetns,
    plane: Plane,
    doors: ReturnType<typeof testDoors>,
    index: number,
  ) {
    this.netns = netns;
    this.peer = peer;
    this.plane = plane;
    this.#doors = doors;
    this.#index = index;
    this.#errorBuckets = plane.kernel.mapFd("error_buckets");
  }

  /** Commits a method's services; every backend's next hop is the bench's own. */
  static async create(
    forward: ForwardName,
    service: PlaneService | readonly PlaneService[],
    mtu = 1500,
  ): Promise<Bench> {
    const netns = createTestNetns("bench");
    const peer = createTestNetns("peer");
    wire(netns, "eth0", "125.12.12.12/24", peer, "eth0", "");
    netns.sh(`ip link set eth0 address ${mac.director}; echo 1 > /proc/sys/net/ipv4/ip_forward`);
    netns.sh("ip -6 address add 2001:db8:12::12/64 dev eth0 nodad; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
    netns.sh(`ip neigh replace 2001:db8:12::1 lladdr ${mac.gateway} dev eth0; ip route add default via 2001:db8:12::1`);
    netns.sh(`ip neigh replace 125.12.12.1 lladdr ${mac.gateway} dev eth0; ip route add default via 125.12.12.1`);
    const doors = testDoors();
    return netns.within(() => {
      const plane = new Plane(doors.bpfDir);
      // Test runs may name a device as the way in only while it has a native program.
      runSync(["ip", "link", "set", "dev", "eth0", "xdpdrv", "obj", objectPath("pass"), "sec", "xdp"]);
      plane.schedulers = (name) => schedulers.find((one) => one.name === name)!;
      const index = ifindexOf("eth0");
      plane.ways.writeDevice(index, parseMac(mac.director)!);
      const bench = new Bench(netns, peer, plane, doors, index);
      bench.commit(forward, service, mtu);
      return bench;
    });
  }

  /** `mtu`: what the way to backends carries whole, of a link that carries `linkMtu`. */
  commit(
    forward: ForwardName,
    service: PlaneService | readonly PlaneService[],
    mtu = 1500,
    linkMtu = Math.max(mtu, 1500),
  ): void {
    const { memory } = this.plane;
    this.plane.commit(forward, Array.isArray(service) ? service : [service]);
    for (const one of [...this.plane.services.values()].flatMap(({ locals }) => [...locals.values()])) {
      const number = 100 + one.number;
      const hop = elementBytes(memory.next_hops, number);
      hop.set(macOf(one.address), nextHop.target);
      hop.set(parseMac(mac.director)!, nextHop.source);
      setWord(memory.next_hops, number, nextHop.mtu, mtu);
      setWord(memory.next_hops, number, nextHop.linkMtu, linkMtu);
      setWord(memory.next_hops, number, nextHop.ifindex, this.#index);
      setWord(memory.next_hops, number, nextHop.vlan, this.vlan);
      const own = isIPv6(one.address) ? "2001:db8:12::12" : "125.12.12.12";
      elementBytes(memory.backends, one.number).set(toBytes16(own), backend.source);
      setWord(memory.backends, one.number, backend.nextHop, number);
    }
  }

  /** Makes the supervisor look dead, or alive again. */
  heartbeat(alive: boolean): void {
    const { control_words } = this.plane.memory;
    this.plane.kernel.beat();
    this.#beaten = alive ? performance.now() : Number.POSITIVE_INFINITY;
    if (alive) return;
    const last = getWord(control_words, 0, control.heartbeat);
    setWord(control_words, 0, control.heartbeat, last - getWord(control_words, 0, control.patience) - 1000);
  }

  /** The next packet takes the long way through the program: packets that are watched do, and nobody watches. */
  takeLongWay(): void {
    setWord(this.plane.memory.control_words, 0, control.tracing, 1);
  }

  /** The long way takes back a word that nobody stands behind. */
  get tookLongWay(): boolean {
    return getWord(this.plane.memory.control_words, 0, control.tracing) === 0;
  }

  /** By the balancer alone, or by every place in turn: `program` is then the entry's. */
  run(
    input: Uint8Array,
    program = this.plane.kernel.programFd("balance"),
  ): { verdict: (typeof verdicts)[number]; output: Uint8Array } {
    if (performance.now() > this.#beaten + BEAT_MS) this.heartbeat(true);
    const { verdict, output } = this.inside(() => testRun(program, input, this.#index));
    return { verdict: verdicts[verdict]!, output };
  }

  /** Sets what each CPU has left of its ICMP errors of a kind, as in the map: all 0 is a full bucket. */
  setErrorBucket(kind: number, value: bigint): void {
    const values = new BigUint64Array(this.#cpus).fill(value);
    updateElement(this.#errorBuckets, keyOf(kind), new Uint8Array(values.buffer));
  }

  /** When the emptiest bucket of a kind will be full again, in units of rates; of 0 it is. */
  errorBucket(kind: number): bigint {
    const values = new BigUint64Array(this.#cpus);
    lookupElement(this.#errorBuckets, keyOf(kind), new Uint8Array(values.buffer));
    return values.sort().at(-1)!;
  }

  /** As after a long silence: every packet that deserves an ICMP error gets one. */
  refillErrors(): void {
    for (let kind = 0; kind < IcmpError.ERRORS; kind++) this.setErrorBucket(kind, 0n);
  }

  /** Test runs look the device up in the namespace of the thread that asks: one excursion for many of them. */
  inside<T>(work: () => T): T {
    if (this.#isInside) return work();
    this.#isInside = true;
    try {
      return this.netns.inside(work);
    } finally {
      this.#isInside = false;
    }
  }

  drops(forward: ForwardName, name: string): Partial<Record<Code, number>> {
    return this.plane.counting.drops(this.plane.mustHave(forward, name).number);
  }

  close(): void {
    this.plane.kernel.destroy();
    this.netns.remove();
    this.peer.remove();
    this.#doors.close();
  }
}
