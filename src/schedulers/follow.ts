import { type Backend, backendName } from "../core/backend.ts";
import type { Balancer } from "../core/method.ts";
import type { EligibleSet, Outcome, Scheduler, SchedulerDefinition, SchedulerEnv, Tried } from "../core/scheduler.ts";
import type { Snapshot } from "../core/snapshot.ts";

/** What a balancer needs of the world; `load` is asked by backend id, not by index. */
export type BalancerEnv = Omit<SchedulerEnv, "load"> & { load(backend: number): number };

/**
 * What a scheduler may see of a snapshot: ids ascending, names by address and port (or URL), weights of at least 1.
 * Whoever builds a table from a snapshot must come through here, else directors disagree.
 */
export function eligibleSet(snapshot: Snapshot): EligibleSet {
  const byId = new Map(snapshot.backends.map((backend) => [backend.id, backend]));
  const eligible = snapshot.eligible.filter((id) => byId.has(id)).sort((a, b) => a - b);
  return {
    ids: eligible,
    names: eligible.map((id) => schedulingName(byId.get(id)!)),
    weights: eligible.map((id) => Math.max(1, byId.get(id)!.weight)),
  };
}

const schedulingName = (backend: Backend): string => backend.url ?? backendName(backend);

/** The caller's set of tried ids, seen by the scheduler as indices. One per balancer: a pick allocates nothing. */
class TriedIds implements Tried {
  set: EligibleSet;
  ids: ReadonlySet<number> = new Set();
  constructor(set: EligibleSet) {
    this.set = set;
  }
  has(index: number): boolean {
    return this.ids.has(this.set.ids[index]!);
  }
  get size(): number {
    return this.ids.size;
  }
}

/** A scheduler over one eligible set, and what its callers need beside it. */
interface Live {
  set: EligibleSet;
  scheduler: Scheduler;
  /** Those of the set, side by side: each choice reads some at random. */
  ids: Uint16Array;
  /** By id; -1: it is not in the set. */
  indices: Int32Array;
  ranks: Uint16Array;
  tried: TriedIds;
}

/**
 * Its parts are made when they are first asked for: of very many services most are silent, and one that is asked for
 * after ten changes builds one scheduler.
 */
class FollowingBalancer<O> implements Balancer {
  snapshot: Snapshot;
  readonly #definition: SchedulerDefinition<O>;
  readonly #options: O;
  readonly #env: BalancerEnv;
  #live: Live | null = null;
  /** Was `#live` made from another snapshot than the present one? */
  #behind = false;
  #backends: Map<number, Backend> | null = null;

  constructor(definition: SchedulerDefinition<O>, options: O, env: BalancerEnv, snapshot: Snapshot) {
    this.#definition = definition;
    this.#options = options;
    this.#env = env;
    this.snapshot = snapshot;
  }

  pick(key: number, tried: ReadonlySet<number>): number {
    const live = this.#current();
    live.tried.ids = tried;
    const index = live.scheduler.pick(key, live.tried);
    return index < 0 ? -1 : live.ids[index]!;
  }

  order(key: number): readonly number[] {
    const { scheduler, set, ranks } = this.#current();
    if (!scheduler.order) {
      const first = this.pick(key, none);
      return first < 0 ? [] : [first, ...set.ids.filter((id) => id !== first)];
    }
    const count = scheduler.order(key, ranks);
    const ids = new Array<number>(count);
    for (let place = 0; place < count; place++) ids[place] = set.ids[ranks[place]!]!;
    return ids;
  }

  mark(): void {
    this.#current().scheduler.mark?.();
  }

  returned(): boolean {
    return this.#current().scheduler.returned?.() ?? false;
  }

  began(backend: number): void {
    const { indices, scheduler } = this.#current();
    if (scheduler.began === undefined) return;
    const index = indices[backend] ?? -1;
    if (index >= 0) scheduler.began(index);
  }

  ended(backend: number, outcome: Outcome): void {
    const { indices, scheduler } = this.#current();
    if (scheduler.ended === undefined) return;
    const index = indices[backend] ?? -1;
    if (index >= 0) scheduler.ended(index, outcome);
  }

  update(snapshot: Snapshot): void {
    this.snapshot = snapshot;
    this.#behind = true;
    this.#backends = null;
  }

  backend(id: number): Backend | undefined {
    this.#backends ??= new Map(this.snapshot.backends.map((b) => [b.id, b]));
    return this.#backends.get(id);
  }

  #current(): Live {
    return this.#live !== null && !this.#behind ? this.#live : this.#follow();
  }

  /** Builds the next scheduler whole before any reader sees it; keeps the present one when nothing changed for it. */
  #follow(): Live {
    const set = eligibleSet(this.snapshot);
    const before = this.#live;
    this.#behind = false;
    if (before !== null && sameSet(set, before.set)) return before;
    const ids = Uint16Array.from(set.ids);
    const scheduler = this.#create(set, ids, before?.scheduler);
    const ranks = new Uint16Array(ids.length);
    this.#live = { set, scheduler, ids, indices: indicesOf(set), ranks, tried: new TriedIds(set) };
    return this.#live;
  }

  #create(set: EligibleSet, ids: Uint16Array, previous?: Scheduler): Scheduler {
    const { random, now, load, seed } = this.#env;
    const env: SchedulerEnv = { random, now, seed, load: (index) => load(ids[index]!) };
    return this.#definition.create(set, this.#options, env, previous);
  }
}

const none: ReadonlySet<number> = new Set();

/** Ids are small (u16) and ascending. */
function indicesOf({ ids }: EligibleSet): Int32Array {
  const indices = new Int32Array((ids.at(-1) ?? -1) + 1).fill(-1);
  for (const [index, id] of ids.entries()) indices[id] = index;
  return indices;
}

function sameSet(a: EligibleSet, b: EligibleSet): boolean {
  return (
    a.ids.length === b.ids.length &&
    a.ids.every((id, i) => id === b.ids[i] && a.names[i] === b.names[i] && a.weights[i] === b.weights[i])
  );
}

/**
 * A balancer that follows a service's snapshots.
 * @param options parsed by `definition.options`
 * @param env.load work under way at a backend id, over all workers
 */
export function createBalancer<O>(
  definition: SchedulerDefinition<O>,
  options: O,
  env: BalancerEnv,
  snapshot: Snapshot,
): Balancer {
  return new FollowingBalancer(definition, options, env, snapshot);
}
