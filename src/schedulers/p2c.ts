import {
  defineScheduler,
  type EligibleSet,
  nothingTried,
  type Scheduler,
  type SchedulerEnv,
  type Tried,
} from "../core/scheduler.ts";
import { noOptions } from "./options.ts";
import { Ranking } from "./rank.ts";
import { WeightLine } from "./weight-line.ts";

/**
 * Power of two choices (Mitzenmacher, 2001): of two at random the one with less work per weight; the first if equal. The
 * one to take where loads are reported: they are seconds old, and whoever always took the least loaded backend would
 * send everybody there until the next report (Mitzenmacher, How useful is old information?, 2000).
 */
class PowerOfTwo implements Scheduler {
  readonly #line: WeightLine;
  readonly #env: SchedulerEnv;
  readonly #ranking: Ranking;

  constructor(set: EligibleSet, env: SchedulerEnv) {
    this.#env = env;
    this.#ranking = new Ranking(set.ids.length);
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

  order(key: number, out: Uint16Array): number {
    const first = this.pick(key, nothingTried);
    if (first < 0) return 0;
    const costs = this.#ranking.scores;
    for (let index = 0; index < costs.length; index++) costs[index] = this.#cost(index);
    costs[first] = Number.NEGATIVE_INFINITY;
    return this.#ranking.take(out);
  }

  #cost(index: number): number {
    return this.#env.load(index) / this.#line.weight(index);
  }
}

export default defineScheduler({
  name: "p2c",
  summary: "Of two backends at random (by weight) the one with less work under way for its weight.",
  options: noOptions,
  faces: ["pick", "order"],
  needs: { load: "own" },
  create: (set, _options, env) => new PowerOfTwo(set, env),
});
