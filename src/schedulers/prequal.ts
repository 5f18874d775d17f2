import {
  defineScheduler,
  type EligibleSet,
  type Outcome,
  type Scheduler,
  type SchedulerEnv,
  type Tried,
} from "../core/scheduler.ts";
import { Latency } from "./latency.ts";
import { noOptions } from "./options.ts";
import { WeightLine } from "./weight-line.ts";

/** Backends that a choice is made among. */
const POOL = 16;
/** Of these, how many are drawn anew for each choice. */
const PROBES = 3;
/** A backend is hot when more is under way there than at this part of those seen lately. */
const HOT = 0.84;
/** Loads remembered for that, and choices between two looks at them. */
const SEEN = 128;
const EVERY = 32;

/**
 * Prequal (Wydrowski, Kleinberg, Rumble, Archer: Load is not what you should balance, NSDI 2024): a pool of backends
 * drawn at random, a few of them new each time; among those that are not hot the one with the least latency, and when
 * all are hot the one with the least under way. The paper's probes ask servers that other clients load too; here all
 * work passes the balancer, whose own counts say the same without asking and are never stale.
 */
class Prequal implements Scheduler {
  readonly latency: Latency;
  readonly #set: EligibleSet;
  readonly #line: WeightLine;
  readonly #env: SchedulerEnv;
  readonly #pool: Int32Array;
  #next = 0;
  readonly #seen = new Float64Array(SEEN);
  readonly #sorted = new Float64Array(SEEN);
  #count = 0;
  #threshold = 0;

  constructor(set: EligibleSet, env: SchedulerEnv, previous?: Scheduler) {
    this.#set = set;
    this.#env = env;
    this.#line = new WeightLine(set.weights);
    this.latency = new Latency(set, () => env.now(), previous instanceof Prequal ? previous.latency : undefined);
    this.#pool = Int32Array.from({ length: POOL }, () => this.#line.draw(env.random()));
  }

  pick(_key: number, tried: Tried): number {
    if (this.#set.ids.length === 0) return -1;
    for (let i = 0; i < PROBES; i++) this.#probe();
    const skip = tried.size > 0;
    // Beginning anywhere: equal ones are drawn at random.
    const from = Math.floor(this.#env.random() * POOL);
    let best = -1;
    let bestHot = true;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < POOL; i++) {
      const index = this.#pool[(from + i) % POOL]!;
      if (skip && tried.has(index)) continue;
      const load = this.#load(index);
      const hot = load > this.#threshold;
      if (hot && !bestHot) continue;
      const cost = hot ? load : this.latency.of(index);
      const better = (bestHot && !hot) || cost < least;
      if (!better) continue;
      best = index;
      bestHot = hot;
      least = cost;
    }
    return best >= 0 || !skip ? best : this.#line.drawUntried(this.#env.random(), tried, -1);
  }

  began(index: number): void {
    this.latency.began(index);
  }

  ended(index: number, outcome: Outcome): void {
    this.latency.ended(index, outcome);
  }

  #load(index: number): number {
    return this.#env.load(index) / this.#set.weights[index]!;
  }

  /** Draws one more into the pool, for the one that has been there longest, and looks at its load. */
  #probe(): void {
    const index = this.#line.draw(this.#env.random());
    this.#pool[this.#next] = index;
    this.#next = (this.#next + 1) % POOL;
    this.#seen[this.#count++ % SEEN] = this.#load(index);
    if (this.#count % EVERY !== 0) return;
    const size = Math.min(this.#count, SEEN);
    const sorted = this.#sorted.subarray(0, size);
    sorted.set(this.#seen.subarray(0, size));
    sorted.sort();
    this.#threshold = sorted[Math.floor(HOT * (size - 1))]!;
  }
}

export default defineScheduler({
  name: "prequal",
  summary:
    "Of a few backends at random (by weight) the fastest that is not hot; when all are, the one with the least work.",
  options: noOptions,
  faces: ["pick"],
  needs: { load: "own" },
  create: (set, _options, env, previous) => new Prequal(set, env, previous),
});
