import { defineScheduler, type EligibleSet, type Scheduler, type SchedulerEnv, type Tried } from "../core/scheduler.ts";
import { noOptions } from "./options.ts";
import { WeightLine } from "./weight-line.ts";

/** Power of two choices (Mitzenmacher, 2001): of two at random the one with less work per weight; the first if equal. */
class PowerOfTwo implements Scheduler {
  readonly #set: EligibleSet;
  readonly #line: WeightLine;
  readonly #env: SchedulerEnv;

  constructor(set: EligibleSet, env: SchedulerEnv) {
    this.#set = set;
    this.#env = env;
    this.#line = new WeightLine(set.weights);
  }

  pick(_key: number, tried: Tried): number {
    const random = this.#env.random;
    const fresh = tried.size === 0;
    const first = fresh ? this.#line.draw(random()) : this.#line.drawUntried(random(), tried, -1);
    if (first < 0) return -1;
    const second = fresh ? this.#line.drawOther(random(), first) : this.#line.drawUntried(random(), tried, first);
    return second >= 0 && this.#cost(second) < this.#cost(first) ? second : first;
  }

  #cost(index: number): number {
    return this.#env.load(index) / this.#set.weights[index]!;
  }
}

export default defineScheduler({
  name: "p2c",
  summary: "Of two backends at random (by weight) the one with less work under way for its weight.",
  options: noOptions,
  faces: ["pick"],
  needs: { load: "own" },
  create: (set, _options, env) => new PowerOfTwo(set, env),
});
