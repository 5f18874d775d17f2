import { device as deviceAt, Limit } from "./generated/layout.ts";
import { Hops } from "./hops.ts";
import type { Kernel } from "./kernel.ts";
import { writeRoute } from "./local-backend.ts";
import { elementBytes, setWord } from "./memory.ts";
import { type Device, devices, type Route, routesTo } from "./routes.ts";

/** How packets get out: routes, link addresses, devices. All of it comes from the kernel's own tables. */
export class Ways {
  readonly hops: Hops;
  /** Of every backend's address that was asked for. */
  readonly routes = new Map<string, Route>();
  readonly #kernel: Kernel;
  readonly #names = new Map<number, string>();
  readonly #modes = new Map<string, string | null>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.hops = new Hops(kernel.memory);
  }

  /** Finds the ways to these addresses and the link addresses on them. */
  async learn(addresses: readonly string[]): Promise<void> {
    for (const [address, route] of await routesTo(addresses)) this.routes.set(address, route);
    for (const address of addresses) {
      const route = this.routes.get(address);
      if (route && !route.local) this.hops.numberOf(route);
    }
    await this.hops.refresh();
  }

  /** Writes the way to an address into a backend's entry. */
  point(address: string, backend: number): void {
    const route = this.routes.get(address);
    if (route && !route.local) writeRoute(this.#kernel.memory, backend, route, this.hops.numberOf(route));
  }

  /** Attaches to these devices and tells the program their MAC. Returns those that are new. Throws SLUICE_BPF_ATTACH. */
  async attach(names: Iterable<string>): Promise<string[]> {
    const links = await devices();
    const fresh: string[] = [];
    this.#tell(links);
    for (const [name, link] of links) this.#names.set(link.index, name);
    for (const name of names) {
      const link = links.get(name);
      if (!link) continue;
      this.writeDevice(link.index, link.mac);
      if (this.#kernel.entry.attach(name)) fresh.push(name);
    }
    for (const [name, { xdp }] of await devices()) this.#modes.set(name, xdp);
    return fresh;
  }

  /** The interfaces that carry these devices' frames: themselves, or the parent of a VLAN device. */
  async carriersOf(names: readonly string[]): Promise<string[]> {
    const links = await devices();
    return [...new Set(names.map((name) => links.get(name)?.parent ?? name))];
  }

  /** Tells the program which interface carries a VLAN device's frames: the kernel's routes name the device. */
  #tell(links: ReadonlyMap<string, Device>): void {
    for (const { index, mac, parent, vlan } of links.values()) {
      const carrier = parent === null ? undefined : links.get(parent);
      if (carrier) this.writeDevice(index, mac, { index: carrier.index, vlan });
    }
  }

  /** Keeps names and MACs of devices: a device may be given another MAC, or leave and come back. */
  async rereadDevices(): Promise<void> {
    const links = await devices();
    this.#names.clear();
    this.#tell(links);
    for (const [name, link] of links) this.#names.set(link.index, name);
    for (const name of this.#kernel.entry.devices) {
      const link = links.get(name);
      if (!link) continue;
      this.writeDevice(link.index, link.mac);
      if (!this.#kernel.entry.attachedTo(name, link.index)) this.#kernel.entry.attach(name);
    }
  }

  /** `xdp native on eth0`, for every device we are attached to. */
  describe(): string[] {
    return this.#kernel.entry.devices.map((name) => `xdp ${this.#modes.get(name) ?? "gone"} on ${name}`);
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
