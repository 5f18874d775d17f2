import { nextHop as at, Limit } from "./generated/layout.ts";
import { elementBytes, type PlaneMemory, setWord } from "./memory.ts";
import { Numbers } from "./numbers.ts";
import { type Device, devices, neighbours, type Route } from "./routes.ts";

interface Hop {
  device: string;
  address: string;
  /** What routers beyond it have told of; null: the link's MTU counts. */
  pathMtu: number | null;
  /** Number in the kernel's table; 0 while it is not resolved. */
  number: number;
  /** What stands under that number, as text to compare. */
  face: string;
  /** At the last look nobody answered at its address. */
  silent: boolean;
  /** At the last look the kernel did not know of it: whoever takes a link down takes its neighbours along. */
  unknown: boolean;
}

/** As in the neighbour table. */
const neighbourOf = (device: string, address: string): string => `${device}|${address}`;
const keyOf = ({ device, hop, mtu }: Route): string => `${neighbourOf(device, hop)}|${mtu ?? ""}`;

/**
 * Next hops: numbered, immutable entries. A new link address gets a new number, and only then do backends change their
 * one word. Number 0 is never resolved.
 */
export class Hops {
  readonly #memory: PlaneMemory;
  readonly #numbers = new Numbers(Limit.MAX_HOPS, 1);
  readonly #hops = new Map<string, Hop>();
  /** Of an earlier daemon: no hop of ours has them. */
  readonly #claimed = new Set<number>();
  /** Numbers that packets under way may still read: freed after the next barrier. */
  #leaving: number[] = [];

  constructor(memory: PlaneMemory) {
    this.#memory = memory;
  }

  /** A number that is in use already: taken over from an earlier daemon. It is replaced once its hop is known here. */
  claim(number: number): void {
    if (number === 0) return;
    this.#numbers.claim(number);
    this.#claimed.add(number);
  }

  /** Number of the hop a route leads to; 0 while its link address is unknown. */
  numberOf(route: Route): number {
    const key = keyOf(route);
    const known = this.#hops.get(key);
    if (known) return known.number;
    const { device, hop: address, mtu: pathMtu } = route;
    this.#hops.set(key, {
      device,
      address,
      pathMtu: pathMtu ?? null,
      number: 0,
      face: "",
      silent: true,
      unknown: true,
    });
    return 0;
  }

  /** Does nobody answer at the hop a route leads to? */
  silent(route: Route): boolean {
    return this.#hops.get(keyOf(route))?.silent ?? false;
  }

  /** Does somebody answer at every hop? */
  get answered(): boolean {
    for (const { silent } of this.#hops.values()) if (silent) return false;
    return true;
  }

  /** Reads link addresses anew, of `seen` devices when they have just been looked up. True when a number has changed: backends must then be given theirs again. */
  async refresh(seen?: ReadonlyMap<string, Device>): Promise<boolean> {
    const [links, known] = await Promise.all([seen ?? devices(), neighbours()]);
    let changed = false;
    for (const hop of this.#hops.values()) {
      const link = links.get(hop.device);
      const mac = known.get(neighbourOf(hop.device, hop.address));
      hop.silent = !mac;
      hop.unknown = mac === undefined;
      // A neighbour that has fallen silent keeps its last address: the check decides about backends, not ARP.
      if (!link || !mac) continue;
      const carrier = links.get(link.parent ?? hop.device) ?? link;
      const mtu = Math.min(link.mtu, hop.pathMtu ?? link.mtu);
      const face = `${carrier.index} ${link.vlan} ${link.mtu} ${mtu} ${mac} ${link.mac}`;
      if (face === hop.face) continue;
      const number = this.#numbers.take();
      if (number < 0) continue;
      this.#write(number, link, carrier, mac, mtu);
      if (hop.number > 0) this.#leaving.push(hop.number);
      hop.number = number;
      hop.face = face;
      changed = true;
    }
    return changed;
  }

  /** Hops whose link address nobody has told yet. */
  get numberless(): { address: string; device: string }[] {
    return [...this.#hops.values()].filter((hop) => hop.number === 0);
  }

  /** Has every hop its link address? */
  get whole(): boolean {
    return this.numberless.length === 0;
  }

  /** Hops that the kernel has to be asked for: nobody has answered for them yet, or it has forgotten them. */
  unresolved(): { address: string; device: string }[] {
    return [...this.#hops.values()].filter((hop) => hop.number === 0 || hop.unknown);
  }

  /** Is there a hop of ours at this address? */
  has(device: string, address: string): boolean {
    for (const hop of this.#hops.values()) if (hop.device === device && hop.address === address) return true;
    return false;
  }

  /** Forgets hops that no route of `used` leads to, and an earlier daemon's numbers that no backend has any more. */
  keep(used: Iterable<Route>, numbers: ReadonlySet<number>): void {
    for (const number of this.#claimed) {
      if (numbers.has(number)) continue;
      this.#claimed.delete(number);
      this.#leaving.push(number);
    }
    const keys = new Set<string>();
    for (const route of used) if (!route.local) keys.add(keyOf(route));
    for (const [key, hop] of this.#hops) {
      if (keys.has(key)) continue;
      if (hop.number > 0) this.#leaving.push(hop.number);
      this.#hops.delete(key);
    }
  }

  get count(): number {
    return this.#hops.size;
  }

  /** Called after a barrier. `left` of an earlier call are free now. */
  afterBarrier(): void {
    for (const number of this.#leaving.splice(0)) this.#numbers.free(number);
  }

  #write(number: number, link: Device, carrier: Device, mac: Uint8Array, mtu: number): void {
    const bytes = elementBytes(this.#memory.next_hops, number);
    bytes.fill(0);
    bytes.set(mac, at.target);
    bytes.set(link.mac, at.source);
    setWord(this.#memory.next_hops, number, at.mtu, mtu);
    setWord(this.#memory.next_hops, number, at.linkMtu, link.mtu);
    setWord(this.#memory.next_hops, number, at.vlan, link.vlan);
    setWord(this.#memory.next_hops, number, at.ifindex, carrier.index);
  }
}
