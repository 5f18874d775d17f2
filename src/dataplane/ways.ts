import { type Problem, toProblem } from "../core/problem.ts";
import type { Trouble } from "../core/trouble.ts";
import { bpfError } from "../system/libbpf.ts";
import { type RouteWatch, watchRoutes } from "../system/route-watch.ts";
import { device as deviceAt, Limit } from "./generated/layout.ts";
import { Hops } from "./hops.ts";
import type { Kernel } from "./kernel.ts";
import { writeRoute } from "./local-backend.ts";
import { elementBytes, setWord } from "./memory.ts";
import { PathMtus } from "./path-mtu.ts";
import { type Device, devices, type Route, routesTo } from "./routes.ts";

/** Looks at all ways after which they are asked anew in any case: not all that moves one is told (a redirect is not). */
const ASK_ANYWAY = 12;

const TWO_TAGS = "frames with two VLAN tags, or an 802.1ad one, are not served";

/** How packets get out: routes, link addresses, devices. All of it comes from the kernel's own tables. */
export class Ways {
  readonly hops: Hops;
  readonly pathMtus = new PathMtus();
  /** Of every backend's address that was asked for; the last that was known where none is left. */
  readonly routes = new Map<string, Route>();
  /** Addresses that no route led to at the last look. */
  readonly lost = new Set<string>();
  /** Addresses whose route holds as long as the kernel tells of no change: a hundred thousand are not asked each time. */
  readonly #settled = new Set<string>();
  readonly #watch: RouteWatch;
  #looks = 0;
  /** Addresses that nobody had at the last `keep`. */
  #unused: readonly string[] = [];
  readonly #kernel: Pick<Kernel, "memory" | "entry">;
  readonly #names = new Map<number, string>();
  readonly #modes = new Map<string, string | null>();
  readonly #mtus = new Map<string, number>();
  /** Devices that our program should be on. */
  readonly #wanted = new Set<string>();
  /** Devices that were there at the last look; null before the first. */
  #present: ReadonlySet<string> | null = null;
  /** Why a device that had come back could not be attached to. */
  readonly #refused = new Map<string, Problem>();

  constructor(kernel: Pick<Kernel, "memory" | "entry">, watch: RouteWatch = watchRoutes()) {
    this.#kernel = kernel;
    this.#watch = watch;
    this.hops = new Hops(kernel.memory);
  }

  /** A way, or the number of a hop, is another than what backends were pointed to. */
  moved = false;

  /** The kernel has told of a change to links, addresses or routes, somebody's or our own. Taken back by who has seen to it. */
  stirred = false;

  /** Finds the ways to these addresses and the link addresses on them. */
  async learn(addresses: readonly string[]): Promise<void> {
    await this.find(addresses);
    // Of very many addresses most have the same way.
    for (const route of new Set(addresses.map((address) => this.routes.get(address))))
      if (route && !route.local) this.hops.numberOf(route);
    await this.refreshHops();
  }

  /** Reads link addresses anew, of `seen` devices when they have just been looked up. */
  async refreshHops(seen?: ReadonlyMap<string, Device>): Promise<void> {
    if (await this.hops.refresh(seen)) this.moved = true;
  }

  /**
   * Forgets the ways to addresses that were not among those of the last call either, and the hops that only they led to.
   * `numbers`: of the next hops that backends have now.
   */
  keep(addresses: ReadonlySet<string>, numbers: ReadonlySet<number>): void {
    for (const address of this.#unused) {
      if (addresses.has(address)) continue;
      this.routes.delete(address);
      this.lost.delete(address);
      this.#settled.delete(address);
    }
    this.#unused = this.#known().filter((address) => !addresses.has(address));
    const narrow = this.pathMtus.addresses.flatMap((address) => this.#narrow(address) ?? []);
    this.hops.keep(new Set([...this.routes.values(), ...narrow]), numbers);
  }

  /** Looks all ways up again where any may have moved; gives those that are other than they were, or there again. */
  async reread(): Promise<Map<string, Route>> {
    this.#hear();
    if (++this.#looks % ASK_ANYWAY === 0) this.#settled.clear();
    const nothingToAsk = this.lost.size === 0 && this.#settled.size === this.routes.size;
    return nothingToAsk ? new Map() : this.find(this.#known());
  }

  /** When the kernel has told of a change, no way is sure any more, and VIPs may have gone. */
  #hear(): void {
    if (!this.#watch.moved()) return;
    this.#settled.clear();
    this.stirred = true;
  }

  #known(): string[] {
    return [...new Set([...this.routes.keys(), ...this.lost])];
  }

  /** Finds the ways to these addresses; gives those that are other than they were. */
  async find(addresses: readonly string[]): Promise<Map<string, Route>> {
    // Before the kernel is asked: what moves meanwhile is told the next time.
    this.#hear();
    const asked = addresses.filter((address) => !this.#settled.has(address));
    const found = await routesTo(asked);
    const changed = new Map<string, Route>();
    for (const address of asked) {
      const [old, route] = [this.routes.get(address), found.get(address)];
      if (!route) {
        this.lost.add(address);
        continue;
      }
      const back = this.lost.delete(address);
      this.#settled.add(address);
      if (!back && old && old.device === route.device && old.hop === route.hop && old.source === route.source) continue;
      // A backend that has been numbered without a way has nowhere to go yet.
      if (old || back) this.moved = true;
      this.routes.set(address, route);
      changed.set(address, route);
    }
    return changed;
  }

  close(): void {
    this.#watch.close();
  }

  /** Writes the way to an address into a backend's entry. */
  point(address: string, backend: number): void {
    const route = this.routes.get(address);
    if (!route || route.local) return;
    const narrow = this.#narrow(address);
    // One that has just been heard of has no number yet.
    const hop = (narrow && this.hops.numberOf(narrow)) || this.hops.numberOf(route);
    writeRoute(this.#kernel.memory, backend, route, hop);
  }

  /** The way to an address where a router on it carries less than the link. */
  #narrow(address: string): Route | undefined {
    const [route, mtu] = [this.routes.get(address), this.pathMtus.of(address)];
    return route && mtu !== undefined ? { ...route, mtu } : undefined;
  }

  /** Attaches to these devices and tells the program their MAC: those that are new, and why others refused. */
  async attach(names: Iterable<string>): Promise<{ fresh: string[]; refused: Map<string, Problem> }> {
    const links = await devices();
    const fresh: string[] = [];
    const refused = new Map<string, Problem>();
    this.#tell(links);
    for (const [name, link] of links) this.#names.set(link.index, name);
    for (const name of names) {
      const link = links.get(name);
      if (!link) continue;
      this.writeDevice(link.index, link.mac);
      try {
        // Whose carrier is a VLAN device still: XDP does not transmit there.
        if (link.kind === "vlan") throw bpfError("SLUICE_BPF_ATTACH", `interface ${name}: ${TWO_TAGS}`);
        if (this.#kernel.entry.attach(name)) fresh.push(name);
        this.#wanted.add(name);
      } catch (thrown) {
        refused.set(name, toProblem(thrown, "kernel"));
      }
    }
    for (const [name, { xdp, mtu }] of await devices()) {
      this.#modes.set(name, xdp);
      this.#mtus.set(name, mtu);
    }
    return { fresh, refused };
  }

  detach(name: string): void {
    this.#wanted.delete(name);
    this.#kernel.entry.detach(name);
  }

  /** Tells of a device which interface carries its frames: itself, or the parent of a VLAN device. */
  async carriers(): Promise<(device: string) => string> {
    const links = await devices();
    return (device) => links.get(device)?.parent ?? device;
  }

  /** Tells the program which interface carries a VLAN device's frames: the kernel's routes name the device. */
  #tell(links: ReadonlyMap<string, Device>): void {
    for (const { index, mac, parent, vlan } of links.values()) {
      const carrier = parent === null ? undefined : links.get(parent);
      if (carrier) this.writeDevice(index, mac, { index: carrier.index, vlan });
    }
  }

  /**
   * Keeps names and MACs of devices: a device may be given another MAC or name, or leave and come back. Tells those that
   * have come back, and the new names by the former ones.
   */
  async rereadDevices(): Promise<{
    links: ReadonlyMap<string, Device>;
    returned: string[];
    renamed: ReadonlyMap<string, string>;
  }> {
    const links = await devices();
    const returned: string[] = [];
    this.#refused.clear();
    this.#names.clear();
    this.#tell(links);
    for (const [name, link] of links) this.#names.set(link.index, name);
    const renamed = this.#followNames(links);
    // A pin goes when its device has become another one, which our program may not be let onto at once.
    for (const name of new Set([...this.#kernel.entry.devices, ...this.#wanted])) {
      const link = links.get(name);
      if (!link) continue;
      this.writeDevice(link.index, link.mac);
      if (this.#kernel.entry.attachedTo(name, link.index)) continue;
      // One that another program has taken meanwhile must not keep us from the others.
      try {
        this.#kernel.entry.attach(name);
        returned.push(name);
      } catch (thrown) {
        this.#refused.set(name, toProblem(thrown, "kernel"));
      }
    }
    this.#present = new Set(links.keys());
    return { links, returned, renamed };
  }

  /** A device with another name has our program still: its pin, and whoever wants it, learn that name. */
  #followNames(links: ReadonlyMap<string, Device>): ReadonlyMap<string, string> {
    const { entry } = this.#kernel;
    for (const former of entry.devices) {
      const name = links.has(former) ? undefined : this.#names.get(entry.indexOf(former));
      if (name !== undefined) entry.rename(former, name);
    }
    // Among them those whom somebody has attached to by the new name before we looked.
    const renamed = entry.takeRenamed();
    for (const [former, name] of renamed) if (this.#wanted.delete(former)) this.#wanted.add(name);
    return renamed;
  }

  /** What is wrong with a device that our program should be on. */
  deviceTrouble(name: string): Trouble | null {
    if (this.#present && !this.#present.has(name))
      return { code: "SLUICE_DEVICE_GONE", message: `interface ${name} is not there` };
    const refused = this.#refused.get(name);
    return refused ? { code: refused.code, message: refused.message } : null;
  }

  /** `xdp native on eth0`, for every device we are attached to; of one whose driver refused that, why. */
  describe(): string[] {
    return this.#kernel.entry.devices.map((name) => {
      const why = this.refusedNative(name);
      return `xdp ${this.#modes.get(name) ?? "gone"} on ${name}${why ? ` (${why})` : ""}`;
    });
  }

  /** Why a device whose driver knows XDP has the generic hook; null: it has not, or its driver knows none. */
  refusedNative(name: string): string | null {
    const why = this.#kernel.entry.refusedNative.get(name);
    return why === undefined ? null : `its driver refuses native XDP at MTU ${this.#mtus.get(name)}: ${why}`;
  }

  deviceName = (index: number): string | undefined => this.#names.get(index);

  /** `below`: of a VLAN device, what carries its frames. */
  writeDevice(index: number, mac: Uint8Array, below = { index: 0, vlan: 0 }): void {
    if (index >= Limit.MAX_DEVICES) return;
    setWord(this.#kernel.memory.devices, index, deviceAt.parent, below.index);
    setWord(this.#kernel.memory.devices, index, deviceAt.vlan, below.vlan);
    const bytes = elementBytes(this.#kernel.memory.devices, index);
    bytes.set(mac, deviceAt.mac);
    bytes[deviceAt.known] = 1;
  }
}
