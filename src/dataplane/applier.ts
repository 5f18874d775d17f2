import type { HostChange } from "../core/host-change.ts";
import type { Applier, CountsByService, Doors, HostFacts, Prepared } from "../core/method.ts";
import { type Problem, toProblem } from "../core/problem.ts";
import { checkedListener } from "../core/service.ts";
import type { Trouble } from "../core/trouble.ts";
import { bytesText } from "../observe/units.ts";
import { sleep } from "../runtime/clock.ts";
import { lackOfHops } from "./capacity.ts";
import { devicesOf, groundChanges, vipChanges } from "./changes.ts";
import { createCheckPath } from "./check-path.ts";
import { kernelCounts } from "./counts.ts";
import { factsNow, hostAddresses, missingAddresses } from "./facts-now.ts";
import { limited, type StagedLists } from "./guard/guard.ts";
import { Held } from "./held.ts";
import { type Plane, stateKey } from "./plane.ts";
import { type ForwardName, type PlaneService, partName } from "./plane-service.ts";
import { destroy, leave, type Shared, share, sharedAt } from "./shared-plane.ts";
import { Troubles } from "./troubles.ts";

/** How long a prepare waits for link addresses, ms. A backend that does not answer must not hold the others back. */
const NEIGHBOUR_WAIT = 800;

class XdpApplier implements Applier<PlaneService> {
  readonly #doors: Doors;
  readonly #forward: ForwardName;
  #services: readonly PlaneService[] = [];
  #role: "active" | "standby";
  #ground: Held;
  #vips: Held;
  /** Devices that the services in force need. */
  #attached: readonly string[] = [];
  readonly #troubles: Troubles;
  /** The last `moved`, until it is through. */
  #moving: Promise<void> = Promise.resolve();

  /** `facts`: of the VIPs that an earlier daemon has left. */
  constructor(doors: Doors, forward: ForwardName, facts: HostFacts) {
    this.#doors = doors;
    this.#forward = forward;
    this.#role = doors.standby ? "standby" : "active";
    if (doors.standby) this.#plane.quiet.add(forward);
    this.#troubles = new Troubles(this.#plane, forward, doors.log);
    this.#shared.appliers.add(this);
    // What an earlier daemon left of this method: its changes are ours now.
    const adopted = standing(this.#plane, forward).flatMap((state) => state.config ?? []);
    this.#ground = new Held(doors, groundChanges(adopted, facts, forward));
    this.#vips = new Held(doors, vipChanges(adopted, facts));
  }

  get #shared(): Shared {
    return share(this.#doors);
  }

  get #plane(): Plane {
    return this.#shared.plane;
  }

  #state(name: string) {
    return this.#plane.services.get(stateKey(this.#forward, name));
  }

  async prepare(next: readonly PlaneService[]): Promise<Prepared | Problem[]> {
    const fresh: string[] = [];
    let staged: StagedLists | null = null;
    try {
      const { plane } = this.#shared;
      plane.ownAddresses = await ownAddresses();
      const lacks = plane.lacks(this.#forward, next);
      if (lacks.length > 0) return lacks;
      const starved = this.#reserve(next);
      if (starved.length > 0) return starved;
      for (const { near } of next) if (near) plane.regions.read(near.geography);
      await plane.ways.find(backendsOf(next));
      const facts = await this.#factsOf(next);
      await this.#ground.widen(groundChanges(next, facts, this.#forward));
      await this.#learn(next);
      const unreached = lackOfHops(plane.ways.hops.count);
      if (unreached.length > 0) {
        await this.#abort(fresh, staged);
        return unreached;
      }
      const devices = await this.#devicesBy(next, facts);
      // From now on nobody detaches these: a service may leave one method for another in one revision.
      this.#need([...this.#attached, ...all(devices)]);
      const attached = await plane.ways.attach(all(devices));
      fresh.push(...attached.fresh);
      if (attached.refused.size > 0) {
        await this.#abort(fresh, staged);
        return blame(next, (service) => devices.get(service.name)!.flatMap((d) => attached.refused.get(d) ?? []));
      }
      for (const device of attached.fresh) {
        const why = plane.ways.refusedNative(device);
        if (why) this.#doors.log("warn", `${device} has the generic hook, which is dearer: ${why}`);
      }
      const guarded = await this.#stageGuard(next);
      if (Array.isArray(guarded)) {
        await this.#abort(fresh, staged);
        return guarded;
      }
      staged = guarded;
      await this.#vips.widen(this.#vipChanges(next, facts));
      this.#shared.prepared.add(this.#forward);
      return { commit: () => this.#commit(next, devices, staged), abort: () => this.#abort(fresh, staged) };
    } catch (thrown) {
      await this.#abort(fresh, staged);
      const problem = toProblem(thrown, "kernel");
      // Named by its services: whoever starts leaves those out, and others are none the worse.
      return next.length === 0 || problem.path.length > 0 ? [problem] : blame(next, () => [problem]);
    }
  }

  /** What the kernel has no memory for is told of the services that need it. */
  #reserve(next: readonly PlaneService[]): Problem[] {
    const wanting = this.#plane.wanting(this.#forward, next);
    try {
      this.#plane.reserve(this.#forward, wanting);
      return [];
    } catch (thrown) {
      return blame(wanting, () => [toProblem(thrown, "kernel")]);
    }
  }

  /** Stages lists and the guard's program; what refuses them is told of the services that need them. */
  async #stageGuard(next: readonly PlaneService[]): Promise<StagedLists | null | Problem[]> {
    // A method that has no service left says nothing of the lists.
    const [first] = next;
    if (!first) return null;
    try {
      return await this.#plane.guard.stage(first.lists, next.some(hasLimits));
    } catch (thrown) {
      const problem = toProblem(thrown, "kernel");
      if (problem.path.length > 0) return [problem];
      return blame(first.lists ? next : next.filter(hasLimits), () => [problem]);
    }
  }

  /** The devices whose packets the program must see, by service. */
  async #devicesBy(next: readonly PlaneService[], facts: HostFacts): Promise<Map<string, string[]>> {
    const carrier = await this.#plane.ways.carriers();
    return new Map(next.map((service) => [service.name, unique(devicesOf([service], facts).map(carrier))]));
  }

  /**
   * What the kernel says of the VIPs of these services; the ways to their backends are those that were found last, of one
   * that has no route too, for it may come back.
   */
  #factsOf(services: readonly PlaneService[]): Promise<HostFacts> {
    const vips = services.flatMap((service) => service.vips.map(({ address }) => address));
    return factsNow(this.#doors.facts.instance, unique(vips), this.#plane.ways.routes);
  }

  #vipChanges(services: readonly PlaneService[], facts: HostFacts): HostChange[] {
    return this.#role === "active" ? vipChanges(services, facts) : [];
  }

  /** Finds the ways of these services; waits for the link addresses of hops that are new, since others have had their time. */
  async #learn(services: readonly PlaneService[]): Promise<void> {
    const { plane } = this.#shared;
    const { hops } = plane.ways;
    const known = new Set(hops.numberless.map(hopText));
    const missing = (): string[] => hops.numberless.map(hopText).filter((hop) => !known.has(hop));
    await plane.learn(backendsOf(services));
    for (let waited = 0; waited < NEIGHBOUR_WAIT && missing().length > 0; waited += 100) {
      await sleep(100);
      await plane.learn([]);
    }
    const silent = missing();
    if (silent.length === 0) return;
    this.#doors.log("warn", `no link address yet for ${silent.join(", ")}`, { code: "SLUICE_NEIGHBOUR" });
  }

  async #commit(
    next: readonly PlaneService[],
    devicesBy: ReadonlyMap<string, readonly string[]>,
    staged: StagedLists | null,
  ): Promise<void> {
    const devices = all(devicesBy);
    this.#troubles.follow(devicesBy);
    const { plane, needs, prepared } = this.#shared;
    plane.commit(this.#forward, next);
    plane.applyGuard(staged);
    if (next[0]) plane.setErrorRates(next[0].lists?.errors);
    prepared.delete(this.#forward);
    if (prepared.size === 0) plane.complete();
    this.#services = next;
    const before = this.#attached;
    this.#attached = devices;
    this.#need(devices);
    const needed = new Set([...needs.values()].flatMap((set) => [...set]));
    for (const device of before) if (!needed.has(device)) plane.ways.detach(device);
    await this.#vips.settle();
    await this.#ground.settle();
    await this.#shared.check?.follow();
  }

  #need(devices: readonly string[]): void {
    sharedAt(this.#doors.bpfDir)?.needs.set(this.#forward, new Set(devices));
  }

  async #abort(fresh: readonly string[], staged: StagedLists | null): Promise<void> {
    const { plane, prepared } = sharedAt(this.#doors.bpfDir) ?? {};
    prepared?.delete(this.#forward);
    plane?.guard.abandon(staged);
    this.#need(this.#attached);
    for (const device of fresh) plane?.ways.detach(device);
    await this.#vips.shrink();
    await this.#ground.shrink();
  }

  async refresh(changed: readonly PlaneService[]): Promise<void> {
    const { plane } = this.#shared;
    const unknown = backendsOf(changed).filter((address) => !plane.ways.routes.has(address));
    if (unknown.length > 0) await plane.learn(unknown);
    plane.refresh(this.#forward, changed);
    const byName = new Map(changed.map((service) => [service.name, service]));
    this.#services = this.#services.map((service) => byName.get(service.name) ?? service);
  }

  async setRole(role: "active" | "standby"): Promise<void> {
    this.#role = role;
    if (role === "active") this.#plane.quiet.delete(this.#forward);
    await this.#vips.hold(this.#vipChanges(this.#services, await this.#factsOf(this.#services)));
    if (role === "standby") this.#plane.quiet.add(this.#forward);
  }

  async counts(): Promise<CountsByService> {
    return kernelCounts(this.#plane, standing(this.#plane, this.#forward));
  }

  troubles(service: string): Trouble[] {
    return this.#troubles.of(service);
  }

  /** After each look at the world. A device that has come back has lost what we had set on it; one with a new name has not. */
  async looked(returned: readonly string[], renamed: ReadonlyMap<string, string>): Promise<void> {
    if (renamed.size > 0) this.#rename(renamed);
    if (returned.length > 0) this.#doors.log("info", `back: ${returned.join(", ")}`, { code: "SLUICE_DEVICE_GONE" });
    if (returned.length + renamed.size > 0)
      try {
        await this.#ground.renew();
        await this.#vips.renew();
      } catch (thrown) {
        const { code, message } = toProblem(thrown, "kernel");
        this.#doors.log("error", `what stood on it cannot be made again: ${message}`, { code });
      }
    this.#troubles.say();
  }

  #rename(names: ReadonlyMap<string, string>): void {
    for (const [former, name] of names) this.#doors.log("info", `interface ${former} is called ${name} now`);
    this.#attached = unique(this.#attached.map((device) => names.get(device) ?? device));
    this.#need(this.#attached);
    this.#troubles.rename(names);
    this.#ground.rename(names);
    this.#vips.rename(names);
  }

  /** The new next hops are kept fresh, and their devices watched, as a revision would have it. */
  moved(): Promise<void> {
    this.#moving = this.#follow(this.#services);
    return this.#moving;
  }

  async #follow(services: readonly PlaneService[]): Promise<void> {
    // What is removed has no ways any more.
    if (services.length === 0) return;
    try {
      const facts = await this.#factsOf(services);
      const devices = await this.#devicesBy(services, facts);
      // A revision that came meanwhile has seen to it.
      if (services !== this.#services) return;
      await this.#ground.also(groundChanges(services, facts, this.#forward));
      this.#attached = unique([...this.#attached, ...all(devices)]);
      this.#need(this.#attached);
      const { refused } = await this.#plane.ways.attach(all(devices));
      this.#troubles.follow(devices);
      for (const [device, { code, message }] of refused) this.#doors.log("error", `${device}: ${message}`, { code });
    } catch (thrown) {
      const { code, message } = toProblem(thrown, "kernel");
      this.#doors.log("error", `the new ways cannot be kept: ${message}`, { code });
    }
  }

  /** A VIP that somebody has taken off a device that is there, as a network manager does at its reload, is held again. */
  async stirred(): Promise<void> {
    try {
      const lost = await missingAddresses(this.#vips.changes);
      if (lost.length === 0) return;
      this.#doors.log("warn", `taken away by somebody, and held again: ${lost.join(", ")}`);
      await this.#vips.renew();
    } catch (thrown) {
      const { code, message } = toProblem(thrown, "kernel");
      this.#doors.log("error", `VIPs cannot be held: ${message}`, { code });
    }
  }

  describe(service: string): string[] {
    return [
      ...this.#plane.ways.describe(),
      ...this.#plane.guard.describe(),
      ...this.#plane.counting.describe(),
      ...this.#memory(service),
    ];
  }

  /** What the kernel keeps for a service, the parts for its places counted in, and for all. */
  #memory(service: string): string[] {
    const { use } = this.#plane.memoryReading;
    if (use === null) return [];
    const parts = this.#state(service)?.config?.near?.places ?? [];
    const own = [service, ...parts.map(({ name }) => partName(service, name))]
      .flatMap((name) => this.#state(name) ?? [])
      .reduce((sum, { number }) => sum + use.perService + (use.orders.get(number) ?? 0), 0);
    return [`kernel memory ${bytesText(own)} of ${bytesText(use.bytes)}`];
  }

  probe(service: string, backend: number): ReturnType<NonNullable<Applier<PlaneService>["probe"]>> {
    const state = this.#state(service);
    const one = state?.backend(backend);
    const vips = state?.config?.vips ?? [];
    const vip = checkedListener(vips.filter(({ protocol }) => protocol === "tcp")) ?? checkedListener(vips);
    if (!one || !vip) return null;
    const source = this.#plane.ways.routes.get(one.address)?.source;
    const port = this.#plane.checkPorts.next(one.number);
    if (!source || port === null) return null;
    return { address: vip.address, port: vip.port, source: { address: source, port } };
  }

  async joinChecker(pid: number): Promise<void> {
    this.#shared.check = await createCheckPath(this.#plane, { pid });
  }

  release(): Promise<void> {
    return leave(this.#doors.bpfDir);
  }

  async remove(): Promise<void> {
    const { plane, needs } = this.#shared;
    this.#services = [];
    await this.#moving;
    await this.#vips.hold([]);
    plane.commit(this.#forward, []);
    await this.#ground.hold([]);
    this.#attached = [];
    needs.delete(this.#forward);
    this.#shared.appliers.delete(this);
    if (plane.services.size === 0) await destroy(this.#doors.bpfDir);
  }
}

const hopText = ({ address, device }: { address: string; device: string }): string => `${address} on ${device}`;

/** Their addresses, each once. */
const backendsOf = (services: readonly PlaneService[]): string[] =>
  unique(services.flatMap(({ backends }) => backends.map(({ address }) => address)));

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
const all = (devices: ReadonlyMap<string, readonly string[]>): string[] => unique([...devices.values()].flat());

/** The problems of each service, with its name. */
const blame = (services: readonly PlaneService[], of: (service: PlaneService) => readonly Problem[]): Problem[] =>
  services.flatMap((service) =>
    of(service).map((problem) => ({ ...problem, path: ["services", service.name, ...problem.path] })),
  );

const hasLimits = ({ limits }: PlaneService): boolean => limited(limits);

/** The services of a method that the plane has. */
const standing = (plane: Plane, forward: ForwardName) =>
  [...plane.services.values()].filter((state) => state.forward === forward);

/** Addresses that the host has as its own, with a network; a VIP is a /32. */
async function ownAddresses(): Promise<Set<string>> {
  const all = await hostAddresses();
  return new Set(all.filter(({ prefix }) => prefix < 32).map(({ address }) => address));
}

/**
 * The applier of one forwarding method. All of one instance share one plane in this process, and the pinned one in the
 * kernel: what an earlier daemon left is taken over without a packet lost. Throws SluiceError (SLUICE_BPF_LOAD).
 */
export async function createXdpApplier(doors: Doors, forward: ForwardName): Promise<Applier<PlaneService>> {
  const left = standing(share(doors).plane, forward).flatMap(({ config }) => config?.vips ?? []);
  try {
    const facts = await factsNow(doors.facts.instance, unique(left.map(({ address }) => address)));
    return new XdpApplier(doors, forward, facts);
  } catch (error) {
    if (share(doors).appliers.size === 0) await leave(doors.bpfDir);
    throw error;
  }
}
