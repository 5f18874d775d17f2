import { Limit, State } from "./generated/layout.ts";
import { backendKey, kernelState, type LocalBackend } from "./local-backend.ts";
import { Numbers } from "./numbers.ts";
import { type PlaneService, portOf } from "./plane-service.ts";

/** Gives the plane's number of a new backend, and writes its entry; -1 when none is left. */
export type Take = (local: LocalBackend) => number;

/** The backends of one service by its own numbering: those of the configuration, and those that still have flows. */
export class Roster {
  readonly all = new Map<number, LocalBackend>();
  readonly #numbers = new Numbers(Limit.MAX_LOCAL);
  readonly #byKey = new Map<string, LocalBackend>();
  #byId: ReadonlyMap<number, LocalBackend> = new Map();

  /** One of the configuration, by its id. */
  byId(id: number): LocalBackend | undefined {
    return this.#byId.get(id);
  }

  /** Takes up one that an earlier daemon left. */
  adopt(one: LocalBackend): void {
    this.#numbers.claim(one.local);
    this.#keep(one);
  }

  #keep(one: LocalBackend): void {
    this.all.set(one.local, one);
    this.#byKey.set(one.key, one);
  }

  /**
   * Takes a configuration in. What it has dropped keeps its flows, like one that is drained, and goes with the last of
   * them. Tells whether the service's table reads otherwise now; null when there was no number left.
   */
  follow(config: PlaneService, take: Take, now: number): { changed: boolean } | null {
    const before = this.#byId;
    const byId = new Map<number, LocalBackend>();
    const usualPort = portOf(config, { port: null });
    let changed = false;
    for (const backend of config.backends) {
      const port = backend.port ?? usualPort;
      let one = before.get(backend.id);
      if (one === undefined || one.port !== port || one.address !== backend.address) {
        const key = backendKey({ address: backend.address, port });
        one = this.#byKey.get(key);
        if (one === undefined) {
          const fresh = this.#number({ address: backend.address, port, key }, take);
          if (fresh === null) return null;
          one = fresh;
          changed = true;
        }
      }
      one.id = backend.id;
      one.weight = Math.max(1, backend.weight);
      one.downSince = backend.state === "down" ? (one.downSince ?? now) : null;
      const state = kernelState(backend.state, one.downSince, now);
      changed ||= state !== one.state;
      one.state = state;
      byId.set(backend.id, one);
    }
    this.#byId = byId;
    return { changed: this.#leave() || changed };
  }

  /** Those that the configuration does not name: true when one of them was named before. */
  #leave(): boolean {
    let changed = false;
    for (const one of this.all.values()) {
      if (one.id !== null && this.#byId.get(one.id) === one) continue;
      one.id = null;
      if (one.state !== State.STATE_UP) continue;
      one.state = State.STATE_DRAINING;
      changed = true;
    }
    return changed;
  }

  #number(named: Pick<LocalBackend, "address" | "port" | "key">, take: Take): LocalBackend | null {
    const local = this.#numbers.take();
    if (local < 0) return null;
    const one: LocalBackend = {
      local,
      number: -1,
      id: null,
      weight: 1,
      state: State.STATE_UP,
      downSince: null,
      ...named,
    };
    one.number = take(one);
    if (one.number < 0) {
      this.#numbers.free(local);
      return null;
    }
    this.#keep(one);
    return one;
  }

  /** Gives up who has been down for longer than the grace: flows go on to others. True when there was one. */
  abandon(now: number): boolean {
    let moved = false;
    for (const one of this.all.values()) {
      if (one.state !== State.STATE_DOWN || one.downSince === null) continue;
      one.state = kernelState("down", one.downSince, now);
      moved ||= one.state !== State.STATE_DOWN;
    }
    return moved;
  }

  /** Local numbers of those that were forced out. */
  gone(): Set<number> {
    const gone = new Set<number>();
    for (const { state, local } of this.all.values()) if (state === State.STATE_GONE) gone.add(local);
    return gone;
  }

  /** Is there one that only time moves: that is down, or waits for its last flow? */
  get restless(): boolean {
    for (const { id, state } of this.all.values()) if (id === null || state === State.STATE_DOWN) return true;
    return false;
  }

  /** Takes a backend out of the numbering. */
  retire(one: LocalBackend): void {
    this.all.delete(one.local);
    this.#byKey.delete(one.key);
    this.#numbers.free(one.local);
  }
}
