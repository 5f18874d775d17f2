import { existsSync, renameSync } from "node:fs";
import { runSync } from "../runtime/child.ts";
import { errnoText } from "../runtime/libc.ts";
import {
  BpfObject,
  bpfError,
  deleteElement,
  linkIfindex,
  linkXdp,
  lookupElement,
  openPinned,
  pin,
  updateElement,
  updateLink,
  type XdpMode,
} from "../system/libbpf.ts";
import { closeFd, ifindexOf } from "../system/net.ts";
import { ensureBuilt, objectPath } from "./build.ts";
import { Place } from "./generated/layout.ts";
import { makePins, type Pins, pinnedDevices, unpinLink } from "./pins.ts";

/** <asm-generic/errno.h>: of a driver that knows no XDP. */
const EOPNOTSUPP = 95;

const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** The program that is on an interface, `xdp_filter (id 12)`; null when there is none. An interface has one hook. */
function holderOf(device: string): string | null {
  const done = runSync(["ip", "-json", "link", "show", "dev", device]);
  if (done.code !== 0) return null;
  const [row] = JSON.parse(done.stdout) as { xdp?: { prog?: { id: number; name?: string } } }[];
  const program = row?.xdp?.prog;
  return program ? `${program.name ?? "without a name"} (id ${program.id})` : null;
}

/** Who in this process needs a link, by its pin: it stays while anybody does. */
const claims = new Map<string, Set<string>>();

/** Does anybody in this process need a link of these pins? */
export const claimed = ({ root }: Pins): boolean =>
  [...claims].some(([path, owners]) => path.startsWith(`${root}/`) && owners.size > 0);

/** How a program is attached to an interface. */
export interface Attaching {
  /** Who needs it; `detach` by the same word. */
  owner?: string;
  /** In this order until one works. */
  modes?: readonly XdpMode[];
}

/** The entry program of an instance and the interfaces it is attached to. Whoever has a place plugs into it. */
export class Entry {
  readonly #pins: Pins;
  readonly #object: BpfObject;
  /** The balancer in our place; -1 while there is none of this process. */
  #balancer = -1;
  #renamed = new Map<string, string>();
  /** Why a driver that knows XDP refused it, by the device's name then: such a device has the generic hook, which is dearer. */
  readonly refusedNative = new Map<string, string>();

  /** Loads the entry program; its table of places is shared with an earlier or other loader by its pin. */
  constructor(pins: Pins) {
    ensureBuilt();
    makePins(pins);
    this.#pins = pins;
    this.#object = new BpfObject(objectPath("entry"));
    this.#object.setPinPath("places", pins.places);
    this.#object.load();
  }

  /**
   * Pins anew what has been removed, its folders too: links come back when their interfaces are attached to. False: all is
   * there. Throws SluiceError.
   */
  restorePins(): boolean {
    const { places, maps, links } = this.#pins;
    if ([places, maps, links].every(existsSync)) return false;
    makePins(this.#pins);
    this.#object.restorePins();
    return true;
  }

  /** Puts a program into a place: all interfaces turn to it in one step, that of the table. */
  plug(place: keyof typeof Place, program: number): void {
    const balances = place === "PLACE_BALANCE";
    if (balances) this.#lead(-1);
    updateElement(this.#object.mapFd("places"), word(Place[place]), word(program));
    this.#lead(balances ? program : this.#balancer);
  }

  /** Empties a place; interfaces go on asking the others. */
  unplug(place: keyof typeof Place): void {
    if (place === "PLACE_BALANCE") this.#lead(-1);
    deleteElement(this.#object.mapFd("places"), word(Place[place]));
    this.#lead(this.#balancer);
  }

  /**
   * Has every interface run what it should while this is the balancer in its place. -1: the entry program in any case, so
   * that no interface runs a balancer past the table when another takes its place: whoever is killed in between leaves
   * them all with one.
   */
  #lead(balancer: number): void {
    this.#balancer = balancer;
    for (const device of this.devices) {
      const index = ifindexOf(device);
      if (index > 0) this.#adopt(device, index);
    }
  }

  /** Has anybody plugged into this place? */
  taken(place: keyof typeof Place): boolean {
    return this.programIn(place) !== null;
  }

  /** The kernel's id of the program in a place. */
  programIn(place: keyof typeof Place): number | null {
    const id = new Uint32Array(1);
    const there = lookupElement(this.#object.mapFd("places"), word(Place[place]), new Uint8Array(id.buffer));
    return there ? id[0]! : null;
  }

  /** Of the entry program. */
  get programFd(): number {
    return this.#object.programFd("entry");
  }

  /** What interfaces run: the entry program, or the balancer itself while nobody is asked before it: that saves a call. */
  get #head(): number {
    const first = this.taken("PLACE_GUARD") || this.taken("PLACE_DNS");
    return this.#balancer >= 0 && !first ? this.#balancer : this.programFd;
  }

  /** Devices with our link, from this run or an earlier one. */
  get devices(): string[] {
    return pinnedDevices(this.#pins);
  }

  /**
   * Attaches to a device: native where the driver can, else generic. A link of an earlier daemon gets our program in
   * one step, and no packet is missed. Returns true when the link is new. Throws SLUICE_BPF_ATTACH.
   */
  attach(device: string, { owner = "plane", modes = ["native", "generic"] }: Attaching = {}): boolean {
    const index = ifindexOf(device);
    if (index === 0) throw bpfError("SLUICE_BPF_ATTACH", `there is no interface ${device}`);
    const path = this.#pins.link(device);
    if (this.#adopt(device, index)) {
      claims.set(path, (claims.get(path) ?? new Set()).add(owner));
      return false;
    }
    const program = this.#head;
    const tried: string[] = [];
    let link = -1;
    this.refusedNative.delete(device);
    for (const mode of modes) {
      link = linkXdp(program, index, mode);
      if (link >= 0) break;
      if (mode === "native" && link !== -EOPNOTSUPP) this.refusedNative.set(device, errnoText(-link));
      tried.push(`${mode}: ${errnoText(-link)}`);
    }
    if (link < 0) {
      const holder = holderOf(device);
      const why = holder ? `another XDP program holds it: ${holder}` : tried.join(", ");
      throw bpfError("SLUICE_BPF_ATTACH", `interface ${device}: ${why}`);
    }
    try {
      pin(link, path);
    } finally {
      closeFd(link);
    }
    claims.set(path, new Set([owner]));
    return true;
  }

  #adopt(device: string, index: number): boolean {
    const path = this.#pins.link(device);
    if (!existsSync(path) && !this.#follow(index, device)) return false;
    const link = openPinned(path);
    if (link === null) return false;
    const same = linkIfindex(link) === index;
    if (same) updateLink(link, this.#head);
    closeFd(link);
    // Its interface has gone and another of that name has come.
    if (!same) unpinLink(path);
    return same;
  }

  /** An interface that has another name now has our link still. False: it has none. */
  #follow(index: number, device: string): boolean {
    const former = this.devices.find((name) => this.attachedTo(name, index));
    if (former === undefined) return false;
    this.rename(former, device);
    return true;
  }

  /** Gives the pin of a link, and the claims on it, the name that its interface has now. */
  rename(former: string, device: string): void {
    const [old, path] = [this.#pins.link(former), this.#pins.link(device)];
    renameSync(old, path);
    claims.set(path, claims.get(old) ?? new Set());
    claims.delete(old);
    const first = [...this.#renamed].find(([, name]) => name === former)?.[0] ?? former;
    if (first === device) this.#renamed.delete(first);
    else this.#renamed.set(first, device);
  }

  /** Names that links have got since the last call, by those that they had then. */
  takeRenamed(): ReadonlyMap<string, string> {
    const renamed = this.#renamed;
    this.#renamed = new Map();
    return renamed;
  }

  /** Does our link still hold on to the interface that has this index now? */
  attachedTo(device: string, index: number): boolean {
    return index > 0 && this.indexOf(device) === index;
  }

  /** Index of the interface that a device's link is on, whatever its name is now; 0: there is none any more. */
  indexOf(device: string): number {
    const link = openPinned(this.#pins.link(device));
    if (link === null) return 0;
    const index = linkIfindex(link);
    closeFd(link);
    return index;
  }

  /** Takes the program off, unless somebody else in this process needs it there. */
  detach(device: string, owner = "plane"): void {
    const path = this.#pins.link(device);
    claims.get(path)?.delete(owner);
    if ((claims.get(path)?.size ?? 0) > 0) return;
    claims.delete(path);
    unpinLink(path);
  }

  close(): void {
    this.#object.close();
  }
}
