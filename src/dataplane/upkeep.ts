import { fromBytes16 } from "../core/address.ts";
import { toProblem } from "../core/problem.ts";
import { run } from "../runtime/child.ts";
import { now, sleep } from "../runtime/clock.ts";
import { forgetNeighbours } from "../system/ip.ts";
import { deleteElement, keysOf } from "../system/libbpf.ts";
import { Limit, wantedKey } from "./generated/layout.ts";
import { PathListener } from "./path-listener.ts";
import type { Plane } from "./plane.ts";
import type { ForwardName } from "./plane-service.ts";

const BEAT = 1000;
/** Beats between two looks at devices and the neighbour table; at every beat while some link address is unknown. */
const LOOK_EVERY = 2;
/** Beats between two looks at the routes. */
const ROUTE_EVERY = 5;
/** Beats between two rounds of settling. */
const SETTLE_EVERY = 3;
/** Beat at which services that an earlier daemon left, and that no method has claimed, are given up. */
const FORSAKE_AT = 30;

/** ms in which a neighbour that is there has answered. */
const ANSWERS_IN = 50;

/** Who is told what was seen. */
export interface Listener {
  /** After each look at devices and link addresses, with devices that came back, and new names by former ones. */
  looked(returned: readonly string[], renamed: ReadonlyMap<string, string>): Promise<void>;
  /** Ways to backends are other ones, or there again. */
  moved(): Promise<void>;
  /** Links, addresses or routes have changed, whoever did it. */
  stirred(): Promise<void>;
}

type Log = (level: "debug" | "info" | "warn" | "error", message: string) => void;

/** What a living daemon does for its plane once a second: the heartbeat, link addresses, phases. */
export class Upkeep {
  readonly #plane: Plane;
  readonly #claimed: () => ReadonlySet<ForwardName>;
  readonly #listeners: Iterable<Listener>;
  readonly #log: Log;
  readonly #paths: PathListener;
  readonly #timer: ReturnType<typeof setInterval>;
  #beats = 0;
  #busy = false;
  /** Why what was pinned, and has been removed, cannot be pinned again. */
  #pinless: string | null = null;
  /** Neighbours that we have had the kernel keep fresh, by device and address: no revision holds those of hops that came since. */
  readonly #kept = new Map<string, { device: string; address: string }>();
  /** The last round, until it is through. */
  #underWay: Promise<void> = Promise.resolve();

  /** `claimed`: methods that have an applier in this process. */
  constructor(plane: Plane, claimed: () => ReadonlySet<ForwardName>, listeners: Iterable<Listener>, log: Log) {
    this.#plane = plane;
    this.#listeners = listeners;
    this.#claimed = claimed;
    this.#log = log;
    this.#paths = new PathListener(plane, log);
    this.#timer = setInterval(() => this.#beat(), BEAT);
    this.#timer.unref();
  }

  #beat(): void {
    this.#plane.kernel.beat();
    if (this.#busy) return;
    this.#busy = true;
    this.#beats++;
    const fault = (error: Error): void => this.#log("error", `data plane: ${error.message}`);
    this.#underWay = this.round()
      .catch(fault)
      .then(() => {
        this.#busy = false;
      });
  }

  /** One beat's work. */
  async round(): Promise<void> {
    if (this.#beats === FORSAKE_AT) this.#forsake();
    await this.#askForWanted();
    await this.#hearRouters();
    if (this.#beats % ROUTE_EVERY === 0) await this.#rereadRoutes();
    if (!this.#plane.ways.hops.whole || this.#beats % LOOK_EVERY === 0) await this.#look();
    if (this.#beats % SETTLE_EVERY === 0 && this.#plane.restless) this.#plane.settleRound();
  }

  async #look(): Promise<void> {
    this.#restorePins();
    const { links, returned, renamed } = await this.#plane.ways.rereadDevices();
    await this.#plane.ways.refreshHops(links);
    this.#plane.pointBackends();
    for (const listener of this.#listeners) await listener.looked(returned, renamed);
  }

  /** A folder that somebody has removed, a BPF file system that was unmounted: packets pass us by until all is there again. */
  #restorePins(): void {
    let said: string | null = null;
    try {
      if (!this.#plane.kernel.restorePins()) return;
      this.#plane.guard.restorePins();
      this.#log("warn", "data plane: what was pinned had been removed, and is pinned again");
    } catch (thrown) {
      said = toProblem(thrown, "kernel").message;
      if (said !== this.#pinless) this.#log("error", `data plane: what was pinned had been removed: ${said}`);
    }
    this.#pinless = said;
  }

  /** A backend gets a next hop of its own where less fits its way than the link, and the link's again after a while. */
  async #hearRouters(): Promise<void> {
    const { ways } = this.#plane;
    if (!this.#paths.listen(now())) return;
    ways.moved = true;
    this.#plane.pointBackends();
    await ways.refreshHops();
    this.#plane.pointBackends();
  }

  /** The configuration has no service of these methods any more, so nobody asked for theirs. */
  #forsake(): void {
    const claimed = this.#claimed();
    for (const forward of new Set([...this.#plane.services.values()].map((state) => state.forward))) {
      if (claimed.has(forward)) continue;
      this.#plane.commit(forward, []);
      this.#log("info", `services of ${forward} that an earlier daemon left are gone`);
    }
  }

  /**
   * Next hops that the program met, or that a route has moved to, and the kernel has no link address for: using the entry
   * makes the kernel ask. Those of backends it keeps fresh from then on, for packets do not use the entry.
   */
  async #askForWanted(): Promise<void> {
    const map = this.#plane.kernel.mapFd("wanted");
    const keep = (device: string, address: string): string => {
      this.#kept.set(`${device} ${address}`, { device, address });
      return `neigh replace ${address} dev ${device} managed\n`;
    };
    const lines = this.#plane.ways.hops.unresolved().map(({ address, device }) => keep(device, address));
    for (const key of keysOf(map, wantedKey.size, Limit.WANTED)) {
      deleteElement(map, key);
      const index = new DataView(key.buffer).getUint32(wantedKey.ifindex, true);
      const [device, address] = [this.#plane.ways.deviceName(index), fromBytes16(key)];
      if (device && !this.#plane.ways.hops.has(device, address))
        lines.push(`neigh replace ${address} dev ${device} use nud none\n`);
      else if (device) lines.push(keep(device, address));
    }
    if (lines.length > 0) await run(["ip", "-force", "-batch", "-"], { input: lines.join("") });
  }

  /** Of backends that have gone, nobody else would ever give these up. `all`: of every one. */
  async letGo(all = false): Promise<void> {
    const { hops } = this.#plane.ways;
    const left = [...this.#kept].filter(([, { device, address }]) => all || !hops.has(device, address));
    for (const [key] of left) this.#kept.delete(key);
    await forgetNeighbours(left.map(([, one]) => one));
  }

  async #rereadRoutes(): Promise<void> {
    this.#plane.forgetWays();
    await this.letGo();
    const { ways } = this.#plane;
    const { hops } = ways;
    const moved = await ways.reread();
    for (const [address, route] of moved) {
      if (!route.local) hops.numberOf(route);
      this.#log("info", `the way to ${address} is now by ${route.hop} on ${route.device}`);
    }
    // Packets of a backend whose hop is unknown are dropped: a new gateway is asked for before anything points there.
    if (!hops.whole) {
      await this.#askForWanted();
      await sleep(ANSWERS_IN);
      await ways.refreshHops();
    }
    this.#plane.pointBackends();
    if (moved.size > 0) for (const listener of this.#listeners) await listener.moved();
    if (!ways.stirred) return;
    ways.stirred = false;
    for (const listener of this.#listeners) await listener.stirred();
  }

  /** Ends it, with the round that is under way: from then on nothing is attached again. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#underWay;
    this.#plane.ways.close();
    this.#paths.close();
  }
}
