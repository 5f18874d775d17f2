import { defineScheduler, type EligibleSet, type Scheduler, type SchedulerEnv, type Tried } from "../core/scheduler.ts";
import { noOptions } from "./options.ts";
import { Ranking } from "./rank.ts";
import { WeightLine } from "./weight-line.ts";

class Random implements Scheduler {
  readonly #set: EligibleSet;
  readonly #line: WeightLine;
  readonly #env: SchedulerEnv;
  readonly #ranking: Ranking;

  constructor(set: EligibleSet, env: SchedulerEnv) {
    this.#set = set;
    this.#env = env;
    this.#line = new WeightLine(set.weights);
    this.#ranking = new Ranking(set.ids.length);
  }

  pick(_key: number, tried: Tried): number {
    const unit = this.#env.random();
    return tried.size === 0 ? this.#line.draw(unit) : this.#line.drawUntried(unit, tried, -1);
  }

  /**
   * A weighted draw without replacement: whoever has the lowest `-ln(u) / weight` comes first, which is the same
   * distribution as drawing one after another (Efraimidis and Spirakis, 2006).
   */
  order(_key: number, out: Uint16Array): number {
    const scores = this.#ranking.scores;
    for (let index = 0; index < scores.length; index++)
      scores[index] = -Math.log(1 - this.#env.random()) / this.#set.weights[index]!;
    return this.#ranking.take(out);
  }
}

export default defineScheduler({
  name: "random",
  summary: "A backend at random, in proportion to the weights.",
  options: noOptions,
  faces: ["pick", "order"],
  needs: {},
  create: (set, _options, env) => new Random(set, env),
});
