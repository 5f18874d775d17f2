import { z } from "zod";
import {
  defineScheduler,
  type EligibleSet,
  type Outcome,
  type Scheduler,
  type SchedulerEnv,
  type Tried,
} from "../core/scheduler.ts";
import { ResponseTimes } from "./response-times.ts";
import { WeightLine } from "./weight-line.ts";

/** Backends that a choice is made among: all, or so many drawn at random. */
const POOL = 16;
/** Of those drawn, how many are new for each choice. */
const PROBES = 3;
/** So long what was found out about one stands, unless its load changes, ms. */
const STANDS = 2;

const options = z.strictObject({
  hot: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe(
      "A backend is hot when more is under way there than at this part of those looked at. 0: least work alone decides; 1: time alone.",
    ),
});

/**
 * Prequal (Wydrowski, Kleinberg, Rumble, Archer: Load is not what you should balance, NSDI 2024): a pool of at most 16
 * backends, a few of them new each time; among those that are not hot the one that would answer soonest, and when all
 * are hot the one with the least under way. The paper's probes ask servers for their requests in flight and their times
 * at that load; here every answer that passes tells both, for all workers, without asking and never stale. What others
 * send to the same backends shows in the times.
 */
class Prequal implements Scheduler {
  readonly times: ResponseTimes;
  readonly #line: WeightLine;
  readonly #env: SchedulerEnv;
  readonly #hot: number;
  /** Indices; of few backends all. */
  readonly #pool: Int32Array;
  readonly #drawn: boolean;
  /** By place in the pool: what is under way there, and that for its weight. */
  readonly #active: Float64Array;
  readonly #loads: Float64Array;
  /** And the time it would take, as it was found out at that moment. */
  readonly #costs: Float64Array;
  readonly #foundAt: Float64Array;
  readonly #sorted: Float64Array;
  #next = 0;

  constructor(set: EligibleSet, { hot }: z.output<typeof options>, env: SchedulerEnv, previous?: Scheduler) {
    const { length } = set.ids;
    this.#env = env;
    this.#hot = hot;
    this.#line = new WeightLine(set.weights);
    this.times = new ResponseTimes(set, previous instanceof Prequal ? previous.times : undefined);
    this.#drawn = length > POOL;
    const size = Math.min(length, POOL);
    this.#pool = Int32Array.from({ length: size }, (_, i) => (this.#drawn ? this.#line.draw(env.random()) : i));
    this.#active = new Float64Array(size);
    this.#loads = new Float64Array(size);
    this.#costs = new Float64Array(size);
    this.#foundAt = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
    this.#sorted = new Float64Array(size);
  }

  pick(_key: number, tried: Tried): number {
    const size = this.#pool.length;
    if (size === 0) return -1;
    const now = this.#env.now();
    const drawn = this.#drawn ? PROBES : 0;
    for (let i = 0; i < drawn; i++) this.#probe();
    this.#load();
    // Their times are in no cache either: asked for one after the other, without a choice between, they come together.
    for (let i = 1; i <= drawn; i++) this.#time((this.#next + POOL - i) % POOL, now);
    const threshold = this.#threshold();
    const skip = tried.size > 0;
    // Beginning anywhere (of all: by weight): equal ones are drawn at random.
    const random = this.#env.random();
    const from = this.#drawn ? Math.floor(random * size) : this.#line.draw(random);
    let best = -1;
    let bestHot = true;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < size; i++) {
      const place = from + i < size ? from + i : from + i - size;
      const index = this.#pool[place]!;
      if (skip && tried.has(index)) continue;
      const load = this.#loads[place]!;
      const hot = load > threshold;
      if (hot && !bestHot) continue;
      const cost = hot ? load : this.#time(place, now);
      if ((!bestHot || hot) && cost >= least) continue;
      best = index;
      bestHot = hot;
      least = cost;
    }
    return best >= 0 || !skip ? best : this.#line.drawUntried(this.#env.random(), tried, -1);
  }

  began(index: number): void {
    this.times.began(index, this.#env.load(index), this.#env.now());
  }

  ended(index: number, outcome: Outcome): void {
    this.times.ended(index, outcome, this.#env.now());
  }

  #time(place: number, now: number): number {
    if (now - this.#foundAt[place]! > STANDS) {
      this.#costs[place] = this.times.of(this.#pool[place]!, this.#active[place]!, now);
      this.#foundAt[place] = now;
    }
    return this.#costs[place]!;
  }

  /** Reads the loads of the pool; nothing hangs on what is read, so that the reading is not held up. */
  #load(): void {
    const { length } = this.#pool;
    for (let i = 0; i < length; i++) {
      const index = this.#pool[i]!;
      const active = this.#env.load(index);
      if (active !== this.#active[i]) this.#foundAt[i] = Number.NEGATIVE_INFINITY;
      this.#active[i] = active;
      this.#loads[i] = active / this.#line.weight(index);
    }
  }

  /** The load per weight above which a backend is hot. Sorts in place: few. */
  #threshold(): number {
    const sorted = this.#sorted;
    const size = sorted.length;
    for (let i = 0; i < size; i++) {
      const load = this.#loads[i]!;
      let place = i;
      for (; place > 0 && sorted[place - 1]! > load; place--) sorted[place] = sorted[place - 1]!;
      sorted[place] = load;
    }
    return sorted[Math.floor(this.#hot * (size - 1))]!;
  }

  /** Draws one more into the pool, for the one that has been there longest. */
  #probe(): void {
    this.#foundAt[this.#next] = Number.NEGATIVE_INFINITY;
    this.#pool[this.#next] = this.#line.draw(this.#env.random());
    this.#next = (this.#next + 1) % POOL;
  }
}

export default defineScheduler({
  name: "prequal",
  summary:
    "Of up to 16 backends (at random, by weight) the one that would answer soonest and is not hot; when all are, the one with the least work.",
  options,
  faces: ["pick"],
  needs: { load: "own" },
  create: (set, given, env, previous) => new Prequal(set, given, env, previous),
});
