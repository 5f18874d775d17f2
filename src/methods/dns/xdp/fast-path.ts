import type { AddCount, Doors, FastPath, Running, WorkerDoors } from "../../../core/method.ts";
import { toProblem } from "../../../core/problem.ts";
import type { Service } from "../../../core/service.ts";
import type { Snapshot } from "../../../core/snapshot.ts";
import { Entry } from "../../../dataplane/attach.ts";
import { ensureBuilt } from "../../../dataplane/build.ts";
import { pinsOf } from "../../../dataplane/pins.ts";
import { type Place, placesOf } from "../../../geo/places.ts";
import { now, sleep } from "../../../runtime/clock.ts";
import { createLive } from "../live-service.ts";
import type { DnsOptions, DnsSettings } from "../options.ts";
import { Site } from "../site.ts";
import { signedZones } from "../zones.ts";
import { forsake } from "./forsake.ts";
import { type Arrival, arrivalsOf, heldOf } from "./interfaces.ts";
import { LiveSets } from "./live.ts";
import { type Endpoint, FIRST_COUNTER, Program } from "./program.ts";
import { othersServed, programSettings, servedApart } from "./settings.ts";
import { addCounts } from "./tallies.ts";
import { layOut, setsOf, type View } from "./view.ts";

const OWNER = "dns";
/** ms between two signs of life; the program waits for ten of them. */
const BEAT = 1000;
/** Beats between two looks at the interfaces. */
const LOOK_EVERY = 5;
/** ms until a set whose other place may still be read is written. */
const AGAIN = 120;

/** What is in the kernel. */
interface Active {
  program: Program;
  view: View;
  places: readonly Place[];
  sets: LiveSets;
  /** Number of each service. */
  numbers: Map<string, number>;
}

/** A newer revision has come while one was laid out. */
class Overtaken extends Error {}

/** The name server's answers from XDP: what the program knows follows the supervisor's view, as the workers do. */
class DnsFastPath implements FastPath {
  readonly #doors: Doors;
  #entry: Entry | null = null;
  #active: Active | null = null;
  #arrivals: Arrival[] = [];
  #running: Running | null = null;
  #said = "not begun";
  #turn = 0;
  /** Services whose snapshot has changed while they were laid out. */
  readonly #late = new Set<string>();
  #timer: ReturnType<typeof setInterval> | null = null;
  #beats = 0;
  /** Does all pass until the next revision is laid out? */
  #hushed = false;

  constructor(doors: Doors) {
    this.#doors = doors;
  }

  async follow(running: Running): Promise<void> {
    const turn = ++this.#turn;
    const before = this.#running;
    this.#running = running;
    // Until it is laid out anew nothing must be said of what is gone.
    if (before !== null && this.#active !== null && othersServed(before, running)) {
      this.#hushed = true;
      this.#active.program.hush();
    }
    const settings = running.settings as DnsSettings;
    const why = settings.xdp === "off" ? "off" : servedApart(settings);
    if (why !== null) return this.#stop(why);
    try {
      const { endpoints, arrivals } = await this.#look(settings);
      if (turn !== this.#turn) return;
      if (arrivals.length === 0) {
        this.#stop("no Ethernet interface holds an address of dns: listen");
        this.#watch();
        return;
      }
      ensureBuilt();
      const active = await this.#load(running, settings, endpoints, turn);
      this.#plug(active, arrivals, settings);
    } catch (thrown) {
      if (thrown instanceof Overtaken) return;
      const { code, message } = toProblem(thrown, "kernel");
      this.#stop(message);
      this.#doors.log("warn", `queries are answered by the workers alone: ${message}`, { code });
    }
  }

  /** Which addresses the host has now, and where their queries arrive. */
  async #look({ listen }: DnsSettings): Promise<{ endpoints: Endpoint[]; arrivals: Arrival[] }> {
    const { facts } = this.#doors;
    const endpoints = heldOf(listen, facts);
    const addresses = endpoints.map(({ address }) => address);
    return { endpoints, arrivals: await arrivalsOf(addresses, facts) };
  }

  async #load(running: Running, settings: DnsSettings, endpoints: readonly Endpoint[], turn: number): Promise<Active> {
    const services = running.services as Service<DnsOptions>[];
    const places = placesOf(running.geography);
    this.#late.clear();
    const live = createLive(services, running.seed, silentDoors, places);
    // Workers that went on serving over a reload have the serial of its backends.
    const revision = services.reduce(
      (last, { name }) => Math.max(last, running.snapshot(name).revision),
      running.revision,
    );
    const site = new Site([...live.values()], settings, running.epoch + revision);
    const pause = async (): Promise<void> => {
      await sleep(0);
      if (turn !== this.#turn) throw new Overtaken();
    };
    const snapshot = (name: string): Snapshot => running.snapshot(name);
    const signed = new Set(signedZones(services, settings));
    const view = await layOut(site, services, snapshot, places, FIRST_COUNTER, signed, pause);
    // The program is to share the entry's table of places, which it finds by its pin.
    if (this.#entry === null) this.#entry = new Entry(pinsOf(this.#doors.bpfDir));
    else this.#restorePins(this.#entry);
    const given = { ...programSettings(settings, running.geography, running.seed, services), endpoints };
    const program = new Program(view, given, pinsOf(this.#doors.bpfDir));
    const numbers = new Map(services.map(({ name }, i) => [name, i]));
    return { program, view, places, sets: new LiveSets(program, now), numbers };
  }

  #plug(active: Active, arrivals: readonly Arrival[], settings: DnsSettings): void {
    const before = this.#active;
    this.#active = active;
    this.#hushed = false;
    for (const name of this.#late) this.#show(this.#running!.snapshot(name));
    for (const { index, mac, vlan } of arrivals) active.program.watch(index, mac, vlan);
    active.program.beat();
    this.#entry!.plug("PLACE_DNS", active.program.fd("dns"));
    this.#attach(arrivals, settings);
    this.#watch();
    const size = (active.program.bytes / 2 ** 20).toFixed(1);
    this.#said = `on ${arrivals.map(({ carrier }) => carrier).join(", ")}: ${active.view.names.length} names, ${size} MiB`;
    if (before !== null) this.#retire(before);
  }

  /** What somebody has removed, or a BPF file system that was unmounted has taken along: interfaces have lost their program. */
  #restorePins(entry: Entry): void {
    if (entry.restorePins())
      this.#doors.log("warn", "answers from XDP: what was pinned had been removed, and is pinned again");
  }

  #attach(arrivals: readonly Arrival[], { xdp }: DnsSettings): void {
    const entry = this.#entry!;
    // A veth delivers what XDP sends natively only while its other end polls: generic always works.
    const modes = (arrival: Arrival) =>
      xdp === "auto" && arrival.veth ? (["generic"] as const) : (["native", "generic"] as const);
    for (const arrival of arrivals) entry.attach(arrival.carrier, { owner: OWNER, modes: modes(arrival) });
    const kept = new Set(arrivals.map(({ carrier }) => carrier));
    for (const { carrier } of this.#arrivals) if (!kept.has(carrier)) entry.detach(carrier, OWNER);
    this.#arrivals = [...arrivals];
  }

  /** What an earlier program has counted since it was asked last; told with the next one's. */
  #retired: ((add: AddCount) => void)[] = [];

  #retire({ program, view }: Active): void {
    const counts: [number, number][] = [];
    program.takeCounts((counter, more) => counts.push([counter, more]));
    this.#retired.push((add) => {
      for (const [counter, more] of counts) addCounts(view, counter, more, add);
    });
    program.close();
  }

  #watch(): void {
    this.#timer ??= setInterval(() => void this.#beat(), BEAT);
    this.#timer.unref();
  }

  /** What the last look failed for: told once. */
  #fault: string | null = null;

  async #beat(): Promise<void> {
    if (!this.#hushed) this.#active?.program.beat();
    if (++this.#beats % LOOK_EVERY !== 0 || this.#running === null) return;
    const settings = this.#running.settings as DnsSettings;
    try {
      const { endpoints, arrivals } = await this.#look(settings);
      if (this.#active === null) {
        // The first address has come.
        if (arrivals.length > 0 && this.#timer !== null) await this.follow(this.#running);
        return;
      }
      this.#restorePins(this.#entry!);
      // An address that has left the host may be another one's by now.
      this.#active.program.listen(endpoints);
      for (const { index, mac, vlan } of arrivals) this.#active.program.watch(index, mac, vlan);
      this.#attach(arrivals, settings);
      this.#fault = null;
    } catch (thrown) {
      const { message } = thrown as Error;
      if (message !== this.#fault) this.#doors.log("warn", `answers from XDP: ${message}`);
      this.#fault = message;
    }
  }

  changed(snapshot: Snapshot): void {
    this.#late.add(snapshot.service);
    this.#show(snapshot);
  }

  #show(snapshot: Snapshot): void {
    const active = this.#active;
    const number = active?.numbers.get(snapshot.service);
    if (!active || number === undefined) return;
    const { service, drawable, set: place, ids, rooms } = active.view.services[number]!;
    if (!drawable) return;
    // Backends that come or go make a new revision; until it is laid out the counters' places are the old ones.
    const others = snapshot.backends.length !== ids.length || snapshot.backends.some(({ id }, i) => id !== ids[i]);
    const sets = setsOf(service, snapshot, active.places);
    for (const [i, set] of sets.entries()) {
      const how = active.sets.show(place, i === 1, others ? "pass" : set, rooms[i]!);
      if (how === "later") setTimeout(() => this.#again(active, snapshot.service), AGAIN).unref();
      // Laying all out anew makes room.
      if (how === "full" && this.#running) void this.follow(this.#running);
    }
  }

  #again(active: Active, service: string): void {
    if (this.#active === active && this.#running) this.#show(this.#running.snapshot(service));
  }

  takeCounts(add: AddCount): void {
    for (const tell of this.#retired.splice(0)) tell(add);
    const active = this.#active;
    active?.program.takeCounts((counter, more) => addCounts(active.view, counter, more, add));
  }

  describe(): string[] {
    return [`answers from XDP ${this.#said}`];
  }

  #stop(why: string): void {
    this.#said = why === "off" ? "off" : `off: ${why}`;
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    if (this.#entry === null) {
      forsake(this.#doors.bpfDir);
      return;
    }
    this.#entry.unplug("PLACE_DNS");
    for (const { carrier } of this.#arrivals.splice(0)) this.#entry.detach(carrier, OWNER);
    this.#entry.close();
    this.#entry = null;
    if (this.#active !== null) this.#retire(this.#active);
    this.#active = null;
    forsake(this.#doors.bpfDir);
  }

  async release(): Promise<void> {
    this.#turn++;
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  async remove(): Promise<void> {
    this.#turn++;
    this.#stop("off");
  }
}

const silentDoors: WorkerDoors = {
  balancer: () => {
    throw new Error("nobody is asked for an order here");
  },
  cells: () => ({ add() {}, activeEverywhere: () => 0, queuedEverywhere: () => 0 }),
  crowd: { keyOf: () => 0, enter: () => 0, leave() {} },
  observed() {},
  wanted() {},
  log() {},
  now,
};

export const createFastPath = async (doors: Doors): Promise<FastPath> => new DnsFastPath(doors);
