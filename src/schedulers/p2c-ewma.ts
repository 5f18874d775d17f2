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

/** Added to what a backend takes, ms: where all are as fast as the clock can tell, load alone decides. */
const LEAST = 0.1;

/**
 * Two at random, and the one where new work would end sooner: what a unit of work takes there, times how many are there
 * (Mitzenmacher, The power of two choices, IEEE TPDS 2001; the cost is that of Finagle's peak EWMA).
 */
class P2cEwma implements Scheduler {
  readonly latency: Latency;
  readonly #line: WeightLine;
  readonly #env: SchedulerEnv;

  constructor(set: EligibleSet, env: SchedulerEnv, previous?: Scheduler) {
    this.#env = env;
    this.#line = new WeightLine(set.weights);
    this.latency = new Latency(set, () => env.now(), previous instanceof P2cEwma ? previous.latency : undefined);
  }

  pick(_key: number, tried: Tried): number {
    const random = this.#env.random;
    const fresh = tried.size === 0;
    const first = fresh ? this.#line.draw(random()) : this.#line.drawUntried(random(), tried, -1);
    if (first < 0) return -1;
    const second = fresh ? this.#line.drawOther(random(), first) : this.#line.drawUntried(random(), tried, first);
    return second >= 0 && this.#cost(second) < this.#cost(first) ? second : first;
  }

  began(index: number): void {
    this.latency.began(index);
  }

  ended(index: number, outcome: Outcome): void {
    this.latency.ended(index, outcome);
  }

  /** Idle backends differ by their time alone; equally fast ones by load alone. */
  #cost(index: number): number {
    return (this.#env.load(index) / this.#line.weight(index) + 1) * (LEAST + this.latency.of(index));
  }
}

export default defineScheduler({
  name: "p2c-ewma",
  summary:
    "Of two backends at random (by weight) the one where new work would end sooner, by its load and its recent times.",
  options: noOptions,
  faces: ["pick"],
  needs: { load: "own" },
  create: (set, _options, env, previous) => new P2cEwma(set, env, previous),
});
