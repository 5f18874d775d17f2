import { type Problem, SluiceError } from "../core/problem.ts";
import type { SchedulerDefinition } from "../core/scheduler.ts";
import type { GuardLists, Rate } from "../core/service.ts";
import { parsePrefix } from "../geo/prefix.ts";
import { now } from "../runtime/clock.ts";
import { kernelBarrier } from "../system/net.ts";
import { flipArrivals, readVips, stageArrivals } from "./arrivals.ts";
import { arrivalsOf } from "./arrivals-of.ts";
import { lacksOf } from "./capacity.ts";
import { CheckPorts } from "./check-ports.ts";
import { Counting } from "./counting.ts";
import * as layout from "./generated/layout.ts";
import { Guard, RATE_BYTES, type StagedLists, writeRate } from "./guard/guard.ts";
import { Kernel, pinned } from "./kernel.ts";
import {
  eraseBackend,
  hopOf,
  isUsed,
  type LocalBackend,
  outerNetworkOf,
  writeBackend,
  writeGue,
  writeOuterNetwork,
} from "./local-backend.ts";
import { elementBytes, getWord, type PlaneMemory } from "./memory.ts";
import { MemoryReading } from "./memory-use.ts";
import { Numbers } from "./numbers.ts";
import * as phases from "./phases.ts";
import {
  type ForwardName,
  forwardName,
  forwardNumber,
  type PlaneService,
  partName,
  slotsOf,
  withParts,
} from "./plane-service.ts";
import { Regions } from "./regions.ts";
import { ServiceState } from "./service-state.ts";
import { type Swept, sweep } from "./sweep.ts";
import { clearFlows } from "./turns.ts";
import { Ways } from "./ways.ts";

const { Limit, ControlFlag, IcmpError } = layout;

/** The first finds what nobody has, the second what nobody has still, the third frees the hops that led there. */
const LOOKS_TO_FORGET = 3;

export const stateKey = (forward: ForwardName, name: string): string => `${forward}/${name}`;
export type SchedulerOf = (name: string) => SchedulerDefinition;

/** The kernel side of one instance: programs, maps, and what stands in them. Shared by the methods that forward. */
export class Plane {
  readonly kernel: Kernel;
  readonly ways: Ways;
  readonly memory: PlaneMemory;
  readonly counting: Counting;
  readonly checkPorts: CheckPorts;
  readonly regions: Regions;
  readonly guard: Guard;
  readonly memoryReading: MemoryReading;
  readonly services = new Map<string, ServiceState>();
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
    this.kernel = new Kernel(bpfDir);
    this.memory = this.kernel.memory;
    this.memoryReading = new MemoryReading(bpfDir);
    this.ways = new Ways(this.kernel);
    this.counting = new Counting((name) => this.kernel.mapFd(name));
    this.checkPorts = new CheckPorts(this.memory);
    this.regions = new Regions(this.memory, this.kernel.mapFd("regions"));
    this.guard = new Guard(this.kernel.pins, this.kernel.entry, pinned);
    this.#adopt();
    if (!this.kernel.succeeds) this.kernel.takeOver();
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
        this.ways.hops.claim(hopOf(this.memory, one.number));
      }
      this.services.set(stateKey(forward, name), state);
    }
    const named = new Set(
      [...this.services.values()].flatMap(({ locals }) => [...locals.values()].map((one) => one.number)),
    );
    // Of a daemon that was killed between numbering a backend and naming it.
    for (let number = 0; number < Limit.MAX_BACKENDS; number++)
      if (isUsed(this.memory, number) && !named.has(number)) this.#clear(number);
  }

  /** Every method that had something to put in force has done so: the programs of another version may go. */
  complete(): void {
    if (this.kernel.succeeds) this.kernel.takeOver();
  }

  /** Looks at the ways that are still to be taken to find some that nobody has: a change begins them anew. */
  #forgetful = LOOKS_TO_FORGET;

  /** Waits until no program run sees what was replaced before. */
  #barrier(): void {
    this.#forgetful = LOOKS_TO_FORGET;
    kernelBarrier();
    this.ways.hops.afterBarrier();
  }

  /** Finds the ways to these addresses, and points every backend to its own. */
  async learn(addresses: readonly string[]): Promise<void> {
    this.#forgetful = LOOKS_TO_FORGET;
    await this.ways.learn(addresses);
    this.pointBackends();
  }

  /** Gives every backend the number of its next hop, where any has changed. */
  pointBackends(): void {
    if (!this.ways.moved) return;
    this.ways.moved = false;
    for (const state of this.services.values())
      for (const one of state.locals.values()) this.ways.point(one.address, one.number);
  }

  /** Forgets ways to addresses that no backend has had for two looks: a revision that is being prepared learns its own. */
  forgetWays(): void {
    if (this.#forgetful === 0) return;
    this.#forgetful--;
    const addresses = new Set<string>();
    const hops = new Set<number>();
    for (const { locals } of this.services.values())
      for (const { address, number } of locals.values()) {
        addresses.add(address);
        hops.add(hopOf(this.memory, number));
      }
    this.ways.keep(addresses, hops);
  }

  /** What there is no room for beside what is there; empty: `commit` cannot fail. */
  lacks(forward: ForwardName, services: readonly PlaneService[]): Problem[] {
    const standing = {
      services: this.services.values(),
      servicesLeft: this.#serviceNumbers.left,
      backendsLeft: this.#backendNumbers.left,
    };
    return lacksOf(standing, forward, services);
  }

  /** Those of these services for which the kernel must find memory: they are new, or name others for the first time. */
  wanting(forward: ForwardName, services: readonly PlaneService[]): PlaneService[] {
    const wants = (one: PlaneService): boolean => this.#isFresh(forward, one) || this.#wantsOrders(forward, one);
    return services.filter((service) => withParts(service).some(wants));
  }

  #isFresh(forward: ForwardName, { name }: PlaneService): boolean {
    return !this.services.has(stateKey(forward, name));
  }

  #wantsOrders(forward: ForwardName, { name, secondChance }: PlaneService): boolean {
    const state = this.services.get(stateKey(forward, name));
    return secondChance === true && (state === undefined || !this.memory.orders.has(state.number));
  }

  /** New services of each method that is prepared and has not committed. */
  readonly #expected = new Map<ForwardName, number>();

  /** Has the kernel find memory for what `wanting` tells. Throws SluiceError (SLUICE_BPF_MEMORY); nothing has changed then. */
  reserve(forward: ForwardName, wanting: readonly PlaneService[]): void {
    const all = wanting.flatMap(withParts);
    this.#expected.set(forward, all.filter((one) => this.#isFresh(forward, one)).length);
    const count = [...this.#expected.values()].reduce((sum, one) => sum + one, 0);
    this.memory.tables.make(this.#serviceNumbers.highest(count));
    this.memory.orders.reserve(all.filter((one) => this.#wantsOrders(forward, one)).length);
  }

  /**
   * Puts the whole set of services of one method in force. No step of it can fail once `lacks` was empty and `reserve` is
   * done: memory is written, two words per service and one for the VIPs are flipped, one barrier is waited for.
   */
  commit(forward: ForwardName, services: readonly PlaneService[]): void {
    const next = services.flatMap(withParts);
    for (const { near } of services) if (near) this.regions.take(near.geography);
    const names = new Set(next.map(({ name }) => name));
    const removed = [...this.services.values()].filter((s) => s.forward === forward && !names.has(s.name));
    for (const state of removed) this.services.delete(stateKey(forward, state.name));
    this.#begin(
      forward,
      next.filter((one) => this.#isFresh(forward, one)),
    );
    this.#expected.delete(forward);
    const touched = next.map((config) => this.#take(forward, config));
    this.#publish(touched, forward);
    this.#forget(removed);
  }

  /** Puts staged lists, and the limits of all services that are there, in force. */
  applyGuard(staged: StagedLists | null): void {
    this.guard.apply(staged, new Map([...this.services.values()].map((s) => [s.number, s.config?.limits])));
  }

  /** How many ICMP errors of our own each CPU may send; absent: as the program has it. */
  setErrorRates(rates: GuardLists["errors"]): void {
    const set = (kind: number, rate: Rate | undefined): void =>
      writeRate(this.memory.control_words, 0, layout.control.errors + kind * RATE_BYTES, rate);
    set(IcmpError.ERROR_TOO_BIG, rates?.tooBig);
    set(IcmpError.ERROR_EXPIRED, rates?.expired);
  }

  /** A health or weight change of some services. */
  refresh(forward: ForwardName, changed: readonly PlaneService[]): void {
    const touched = changed
      .flatMap(withParts)
      .filter(({ name }) => this.services.has(stateKey(forward, name)))
      .map((config) => this.#take(forward, config));
    this.#publish(touched, forward);
  }

  /** Numbers new services, and sees to it that there is room for their tables: as a rule `reserve` has made it. */
  #begin(forward: ForwardName, fresh: readonly PlaneService[]): void {
    const numbers = fresh.map(() => this.#serviceNumbers.take());
    this.memory.tables.make(Math.max(-1, ...numbers));
    fresh.forEach((config, i) => {
      const state = new ServiceState(this.memory, numbers[i]!, forward, config.name, slotsOf(config));
      state.announce(config);
      this.services.set(stateKey(forward, config.name), state);
    });
  }

  #take(forward: ForwardName, config: PlaneService): ServiceState {
    const state = this.mustHave(forward, config.name);
    // Made before anything is flipped: the kernel may refuse.
    if (config.secondChance) this.memory.orders.words(state.number);
    const take = (one: LocalBackend): number => this.#number(state, one);
    state.update(config, this.schedulers(config.scheduler.name), take, now(), this.quiet.has(forward));
    const network = outerNetworkOf(config.outerSource === undefined ? undefined : parsePrefix(config.outerSource)!);
    for (const { number } of state.locals.values()) {
      writeGue(this.memory, number, config.guePort ?? 0, config.secondChance === true);
      writeOuterNetwork(this.memory, number, network);
    }
    return state;
  }

  #number(state: ServiceState, one: LocalBackend): number {
    const number = this.#backendNumbers.take();
    if (number < 0) return number;
    writeBackend(this.memory, { ...one, number }, state.number, forwardNumber[state.forward]);
    this.ways.point(one.address, number);
    return number;
  }

  /** Fills, flips, waits. `favoured`: whose VIP wins while a service is between two methods. */
  #publish(touched: readonly ServiceState[], favoured: ForwardName): void {
    const moved = new Set(touched.filter(({ changed }) => changed));
    for (const state of moved) state.fill();
    const arrivals = arrivalsOf([...this.services.values()], favoured, this.ownAddresses);
    const copy = stageArrivals(this.memory, arrivals);
    // Never after `lacks`; nothing has been flipped yet, so what stood goes on.
    if (copy === null) throw new SluiceError(noPlace(arrivals.length));
    const regions = this.regions.stage(this.#rows());
    // Parts before those who send their clients there.
    for (const state of touched.toReversed()) {
      state.tell(state.config?.scheduler.name ? this.schedulers(state.config.scheduler.name) : null);
      if (moved.has(state)) state.flip();
    }
    flipArrivals(this.memory, copy);
    const movedRegions = this.regions.flip(regions);
    const reverse = [...this.services.values()].some((state) => state.forward === "nat");
    this.kernel.setFlag(ControlFlag.CONTROL_REVERSE, reverse);
    const ranges = arrivals.some(({ kind }) => kind === "range");
    this.kernel.setFlag(ControlFlag.CONTROL_RANGES, ranges);
    this.#barrier();
    if (movedRegions) this.regions.forget(1 - regions);
    const time = now();
    for (const state of touched) phases.stamp(state.slots, time);
  }

  /** Of each service that chooses by place: the numbers of its parts. */
  #rows(): Map<number, Map<string, number>> {
    const rows = new Map<number, Map<string, number>>();
    for (const { number, forward, name, config } of this.services.values()) {
      if (!config?.near) continue;
      const parts = config.near.places.map((place): [string, number] => {
        const part = this.services.get(stateKey(forward, partName(name, place.name)));
        return [place.name, part?.number ?? number];
      });
      rows.set(number, new Map(parts));
    }
    return rows;
  }

  /** Nothing names these any more: a sweep frees their flows, so that whoever gets their numbers finds none of them. */
  #forget(removed: readonly ServiceState[]): void {
    if (removed.length === 0) return;
    for (const state of removed) state.erase();
    this.#barrier();
    sweep(this.memory, this.kernel.programFd("sweep"), Limit.FLOW_BUCKETS);
    for (const state of removed) {
      for (const one of state.locals.values()) this.#release(one);
      this.counting.clearDrops(state.number);
      this.#serviceNumbers.free(state.number);
    }
  }

  /** What has no entry has counted nothing: whoever is killed in between leaves the entry. */
  #release(one: LocalBackend): void {
    this.checkPorts.release(one.number);
    this.#clear(one.number);
    this.#backendNumbers.free(one.number);
  }

  #clear(backend: number): void {
    this.counting.clear(backend);
    clearFlows(this.memory, backend);
    eraseBackend(this.memory, backend);
  }

  /** Is there anything that time, or a sweep, could move? */
  get restless(): boolean {
    return [...this.services.values()].some((state) => state.restless);
  }

  /** One round of what only time moves: gives up the dead, closes windows, settles slots, retires the drained. */
  settleRound(time = now()): void {
    const all = [...this.services.values()];
    const moved = all.filter((state) => state.pass(time));
    if (moved.length > 0) this.#publish(moved, moved[0]!.forward);
    const begun = now();
    const swept: Swept = sweep(this.memory, this.kernel.programFd("sweep"), Limit.FLOW_BUCKETS);
    const settled = all.filter((state) => this.#settle(state, begun, time, swept));
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

  #settle(state: ServiceState, begun: number, time: number, swept: Swept): boolean {
    const moved = state.settle(begun, swept);
    if (state.drifting && state.config?.scheduler.name) {
      state.update(state.config, this.schedulers(state.config.scheduler.name), (one) => this.#number(state, one), time);
      return true;
    }
    return moved;
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

const noPlace = (count: number): Problem => ({
  code: "SLUICE_INTERNAL",
  severity: "error",
  source: "internal",
  path: [],
  message: `${count} addresses and ports found no place in the table of what arrives`,
});
