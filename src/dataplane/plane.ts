import { SluiceError } from "../core/problem.ts";
import type { SchedulerDefinition } from "../core/scheduler.ts";
import { now } from "../runtime/clock.ts";
import { BpfObject } from "../system/libbpf.ts";
import { ifindexOf, kernelBarrier } from "../system/net.ts";
import { type ArrivalEntry, flipArrivals, readVips, stageArrivals } from "./arrivals.ts";
import { Entry } from "./attach.ts";
import { objectPath } from "./build.ts";
import { CheckPorts } from "./check-ports.ts";
import { Counting } from "./counting.ts";
import * as layout from "./generated/layout.ts";
import { Hops } from "./hops.ts";
import { eraseBackend, hopOf, type LocalBackend, writeBackend, writeRoute } from "./local-backend.ts";
import { elementBytes, getWord, mapPlane, type PlaneMemory, setWord } from "./memory.ts";
import { Numbers } from "./numbers.ts";
import * as phases from "./phases.ts";
import { makePins, type Pins, pinsOf, removeOldMaps, removePinned } from "./pins.ts";
import { type ForwardName, forwardNumber, type PlaneService } from "./plane-service.ts";
import { devices, type Route, routesTo } from "./routes.ts";
import { ServiceState, slotsOf, ticksNow } from "./service-state.ts";
import { type Swept, sweep } from "./sweep.ts";

const { Limit, ControlFlag } = layout;

/** Maps of the balance object that outlive the daemon. */
const pinned = [
  "control_words",
  "arrivals",
  "services",
  "tables",
  "backends",
  "next_hops",
  "devices",
  "flows",
  "check_ports",
  "busy_slots",
  "live_flows",
  "backend_counts",
  "drop_counts",
  "fragments",
  "wanted",
] as const;

const forwardName = (number: number): ForwardName =>
  (Object.keys(forwardNumber) as ForwardName[]).find((name) => forwardNumber[name] === number) ?? "direct";

export const stateKey = (forward: ForwardName, name: string): string => `${forward}/${name}`;
export type SchedulerOf = (name: string) => SchedulerDefinition;

/** The kernel side of one instance: programs, maps, and what stands in them. Shared by the methods that forward. */
export class Plane {
  readonly pins: Pins;
  readonly memory: PlaneMemory;
  readonly entry: Entry;
  readonly hops: Hops;
  readonly counting: Counting;
  readonly checkPorts: CheckPorts;
  readonly services = new Map<string, ServiceState>();
  readonly routes = new Map<string, Route>();
  readonly #object: BpfObject;
  readonly #names = new Map<number, string>();
  readonly #modes = new Map<string, string | null>();
  readonly #serviceNumbers = new Numbers(Limit.MAX_SERVICES);
  readonly #backendNumbers = new Numbers(Limit.MAX_BACKENDS);
  /** Addresses that the host holds for itself: a stray fragment to them is the kernel's business. */
  ownAddresses: ReadonlySet<string> = new Set();
  /** Methods whose VIPs another director holds: no flow comes by here. */
  readonly quiet = new Set<ForwardName>();
  schedulers: SchedulerOf = () => {
    throw new Error("no schedulers");
  };

  constructor(bpfDir: string) {
    this.pins = pinsOf(bpfDir);
    this.entry = new Entry(this.pins);
    makePins(this.pins);
    this.#object = new BpfObject(objectPath("balance"));
    for (const name of pinned) this.#object.setPinPath(name, `${this.pins.maps}/${name}`);
    this.#object.setPinPath("places", this.pins.places);
    this.#object.load();
    this.memory = mapPlane((name) => this.#object.mapFd(name));
    this.hops = new Hops(this.memory);
    this.counting = new Counting(this.#object.mapFd("backend_counts"), this.#object.mapFd("drop_counts"));
    this.checkPorts = new CheckPorts(this.memory);
    setWord(this.memory.control_words, 0, layout.control.flowMask, Limit.FLOW_BUCKETS - 1);
    // The checker of an earlier daemon died with it.
    this.setFlag(ControlFlag.CONTROL_CHECKS, false);
    this.beat();
    this.#adopt();
    this.entry.plug("PLACE_BALANCE", this.#object.programFd("balance"));
    for (const device of this.entry.devices) {
      // A device that has gone took its link with it; only its pin is left.
      if (ifindexOf(device) === 0) this.entry.detach(device);
      else this.entry.attach(device);
    }
    removeOldMaps(this.pins);
  }

  programFd = (name: "balance" | "check_entry" | "sweep"): number => this.#object.programFd(name);
  mapFd = (name: "wanted"): number => this.#object.mapFd(name);

  /** The program trusts cached link addresses only while this is heard. */
  beat(): void {
    setWord(this.memory.control_words, 0, layout.control.heartbeat, ticksNow());
  }

  #adopt(): void {
    const at = layout.service;
    const vips = readVips(this.memory);
    for (let number = 0; number < Limit.MAX_SERVICES; number++) {
      if (getWord(this.memory.services, number, at.used) === 0) continue;
      const bytes = elementBytes(this.memory.services, number).subarray(at.name);
      const name = new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
      const forward = forwardName(getWord(this.memory.services, number, at.forward));
      const slots = getWord(this.memory.services, number, at.slots);
      const state = new ServiceState(this.memory, number, forward, name, slots);
      state.adopt(now());
      state.config = {
        name,
        seed: 0,
        vips: vips.filter((vip) => vip.service === number),
        backends: [],
        eligible: [],
        scheduler: { name: "", options: {} },
      };
      this.#serviceNumbers.claim(number);
      for (const one of state.locals.values()) {
        this.#backendNumbers.claim(one.number);
        this.hops.claim(hopOf(this.memory, one.number));
      }
      this.services.set(stateKey(forward, name), state);
    }
  }

  /** Waits until no program run sees what was replaced before. */
  barrier(): void {
    kernelBarrier();
    this.hops.afterBarrier();
  }

  /** Finds the ways to these addresses and the link addresses on them. */
  async learn(addresses: readonly string[]): Promise<void> {
    for (const [address, route] of await routesTo(addresses)) this.routes.set(address, route);
    for (const address of addresses) {
      const route = this.routes.get(address);
      if (route && !route.local) this.hops.numberOf(route);
    }
    await this.hops.refresh();
    this.pointBackends();
  }

  /** Gives every backend the number of its next hop, where that has changed. */
  pointBackends(): void {
    for (const state of this.services.values()) for (const one of state.locals.values()) this.#point(one);
  }

  #point(one: LocalBackend): void {
    const route = this.routes.get(one.address);
    if (route && !route.local) writeRoute(this.memory, one.number, route, this.hops.numberOf(route));
  }

  /** Can these services be numbered beside what is there? Null, or what is wanting. */
  lacks(forward: ForwardName, next: readonly PlaneService[]): string | null {
    const fresh = next.filter(({ name }) => !this.services.has(stateKey(forward, name)));
    if (fresh.length > this.#serviceNumbers.left) return `more than ${Limit.MAX_SERVICES} services`;
    const backends = next.reduce((sum, { backends: all }) => sum + all.length, 0);
    if (backends > this.#backendNumbers.left + [...this.services.values()].reduce((n, s) => n + s.locals.size, 0))
      return `more than ${Limit.MAX_BACKENDS} backends`;
    if (next.some(({ backends: all }) => all.length >= Limit.MAX_LOCAL))
      return `${Limit.MAX_LOCAL} backends or more in one service`;
    return null;
  }

  /**
   * Puts the whole set of services of one method in force. No step of it can fail once `lacks` was null: memory is
   * written, two words per service and one for the VIPs are flipped, one barrier is waited for.
   */
  commit(forward: ForwardName, next: readonly PlaneService[]): void {
    const names = new Set(next.map(({ name }) => name));
    const removed = [...this.services.values()].filter((s) => s.forward === forward && !names.has(s.name));
    for (const state of removed) this.services.delete(stateKey(forward, state.name));
    const touched = next.map((config) => this.#take(forward, config));
    this.#publish(touched, forward);
    this.#forget(removed);
  }

  /** A health or weight change of some services. */
  refresh(forward: ForwardName, changed: readonly PlaneService[]): void {
    const touched = changed
      .filter(({ name }) => this.services.has(stateKey(forward, name)))
      .map((config) => this.#take(forward, config));
    this.#publish(touched, forward);
  }

  #take(forward: ForwardName, config: PlaneService): ServiceState {
    const key = stateKey(forward, config.name);
    let state = this.services.get(key);
    if (!state) {
      const number = this.#serviceNumbers.take();
      state = new ServiceState(this.memory, number, forward, config.name, slotsOf(config));
      state.announce(config);
      this.services.set(key, state);
    }
    const take = (one: LocalBackend): number => this.#number(state, one);
    state.update(config, this.schedulers(config.scheduler.name), take, now(), this.quiet.has(forward));
    return state;
  }

  #number(state: ServiceState, one: LocalBackend): number {
    const number = this.#backendNumbers.take();
    if (number < 0) return number;
    this.counting.clear(number);
    writeBackend(this.memory, { ...one, number }, state.number, forwardNumber[state.forward]);
    this.#point({ ...one, number });
    return number;
  }

  /** Fills, flips, waits. `favoured`: whose VIP wins while a service is between two methods. */
  #publish(touched: readonly ServiceState[], favoured: ForwardName): void {
    for (const state of touched) state.fill();
    const copy = stageArrivals(this.memory, this.#arrivals(favoured));
    for (const state of touched)
      state.flip(state.config?.scheduler.name ? this.schedulers(state.config.scheduler.name) : null);
    if (copy !== null) flipArrivals(this.memory, copy);
    const reverse = [...this.services.values()].some((state) => state.forward === "nat");
    this.setFlag(ControlFlag.CONTROL_REVERSE, reverse);
    this.barrier();
    const time = now();
    for (const state of touched) phases.stamp(state.slots, time);
  }

  setFlag(flag: number, on: boolean): void {
    const flags = getWord(this.memory.control_words, 0, layout.control.flags);
    setWord(this.memory.control_words, 0, layout.control.flags, on ? flags | flag : flags & ~flag);
  }

  #arrivals(favoured: ForwardName): ArrivalEntry[] {
    const entries = new Map<string, ArrivalEntry>();
    const states = [...this.services.values()].sort(
      (a, b) => Number(a.forward === favoured) - Number(b.forward === favoured),
    );
    for (const state of states) {
      const vips = state.config?.vips ?? [];
      for (const { address, port, protocol } of vips) {
        if (address.includes(":")) continue;
        entries.set(`${address} ${port} ${protocol}`, { kind: "vip", address, port, protocol, service: state.number });
        if (!this.ownAddresses.has(address)) entries.set(address, { kind: "address", address, service: state.number });
        if (state.forward !== "nat") continue;
        for (const one of state.locals.values())
          entries.set(`reverse ${one.address} ${one.port} ${protocol}`, {
            kind: "reverse",
            address: one.address,
            port: one.port,
            protocol,
            service: state.number,
            backend: one.number,
            vip: address,
            vipPort: port,
          });
      }
    }
    return [...entries.values()];
  }

  /** Nothing names these any more: a sweep frees their flows, so that whoever gets their numbers finds none of them. */
  #forget(removed: readonly ServiceState[]): void {
    if (removed.length === 0) return;
    for (const state of removed) state.erase();
    this.barrier();
    sweep(this.memory, this.programFd("sweep"), Limit.FLOW_BUCKETS);
    for (const state of removed) {
      for (const one of state.locals.values()) this.#release(one);
      this.counting.clearDrops(state.number);
      this.#serviceNumbers.free(state.number);
    }
  }

  #release(one: LocalBackend): void {
    this.checkPorts.release(one.number);
    eraseBackend(this.memory, one.number);
    this.#backendNumbers.free(one.number);
  }

  /** Is there anything that time, or a sweep, could move? */
  get restless(): boolean {
    return [...this.services.values()].some(
      (s) =>
        s.waiting ||
        phases.unsettled(s.slots) > 0 ||
        [...s.locals.values()].some((one) => one.id === null || one.downSince !== null),
    );
  }

  /** One round of what only time moves: gives up the dead, closes windows, settles slots, retires the drained. */
  settleRound(time = now()): void {
    const all = [...this.services.values()];
    const moved = all.filter((state) => {
      const abandoned = state.abandon(time);
      const closed = phases.closeWindows(state.slots, time, state.idle, time - state.sinceFull);
      return abandoned || closed > 0;
    });
    if (moved.length > 0) this.#publish(moved, moved[0]!.forward);
    const begun = now();
    const swept: Swept = sweep(this.memory, this.programFd("sweep"), Limit.FLOW_BUCKETS);
    const settled = all.filter((state) => this.#settle(state, begun, swept));
    if (settled.length > 0) this.#publish(settled, settled[0]!.forward);
    const retired: LocalBackend[] = [];
    const shrunk = all.filter((state) => {
      const gone = state.retirable((number) => swept.live(number));
      for (const one of gone) {
        this.counting.retire(stateKey(state.forward, state.name), one.number);
        state.retire(one);
      }
      retired.push(...gone);
      return gone.length > 0;
    });
    if (shrunk.length === 0) return;
    this.#publish(shrunk, shrunk[0]!.forward);
    for (const one of retired) this.#release(one);
  }

  #settle(state: ServiceState, begun: number, swept: Swept): boolean {
    const moved = phases.settle(state.slots, begun, (slot) => swept.busy(state.number, slot));
    if (state.waiting && state.config?.scheduler.name) {
      state.update(
        state.config,
        this.schedulers(state.config.scheduler.name),
        (one) => this.#number(state, one),
        now(),
      );
      return true;
    }
    return moved > 0;
  }

  /** Attaches to these devices and tells the program their MAC. Returns those that are new. Throws SLUICE_BPF_ATTACH. */
  async attach(names: Iterable<string>): Promise<string[]> {
    const links = await devices();
    const fresh: string[] = [];
    for (const [name, link] of links) this.#names.set(link.index, name);
    for (const name of names) {
      const link = links.get(name);
      if (!link) continue;
      this.writeDevice(link.index, link.mac);
      if (this.entry.attach(name)) fresh.push(name);
    }
    for (const [name, { xdp }] of await devices()) this.#modes.set(name, xdp);
    return fresh;
  }

  /** Keeps names and MACs of devices: a device may be given another MAC, or leave and come back. */
  async rereadDevices(): Promise<void> {
    const links = await devices();
    this.#names.clear();
    for (const [name, link] of links) this.#names.set(link.index, name);
    for (const name of this.entry.devices) {
      const link = links.get(name);
      if (!link) continue;
      this.writeDevice(link.index, link.mac);
      if (!this.entry.attachedTo(name, link.index)) this.entry.attach(name);
    }
  }

  /** `xdp native on eth0`, for every device we are attached to. */
  describe(): string[] {
    return this.entry.devices.map((name) => `xdp ${this.#modes.get(name) ?? "gone"} on ${name}`);
  }

  deviceName = (index: number): string | undefined => this.#names.get(index);

  writeDevice(index: number, mac: Uint8Array): void {
    if (index >= Limit.MAX_DEVICES) return;
    const bytes = elementBytes(this.memory.devices, index);
    bytes.set(mac, layout.device.mac);
    bytes[layout.device.known] = 1;
  }

  /** Removes everything from the kernel. The object is unusable afterwards. */
  destroy(): void {
    removePinned(this.pins.root);
    this.entry.close();
    this.#object.close();
  }

  /** Throws unless the plane has a number for the service. */
  mustHave(forward: ForwardName, name: string): ServiceState {
    const state = this.services.get(stateKey(forward, name));
    if (state) return state;
    throw new SluiceError({
      code: "SLUICE_INTERNAL",
      severity: "error",
      source: "internal",
      path: [],
      message: `no service ${name}`,
    });
  }
}
