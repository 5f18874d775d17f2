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
import { fillRound } from "./round.ts";
import { SmoothCredit } from "./smooth.ts";

/**
 * Least work under way per weight. Equal ones (all of them, when traffic is thin) take smooth weighted turns, so that
 * weights hold with and without load.
 */
class LeastConnections implements Scheduler {
  readonly credit: SmoothCredit;
  readonly #load: (index: number) => number;
  readonly #ranking: Ranking;

  constructor(set: EligibleSet, env: SchedulerEnv, previous?: Scheduler) {
    this.credit = new SmoothCredit(set, env.random, previous instanceof LeastConnections ? previous.credit : undefined);
    this.#load = (index) => env.load(index);
    this.#ranking = new Ranking(set.ids.length);
  }

  pick(_key: number, tried: Tried): number {
    const { set } = this.credit;
    const costs = this.#ranking.scores;
    let least = Number.POSITIVE_INFINITY;
    for (let index = 0; index < costs.length; index++) {
      const skipped = tried.size > 0 && tried.has(index);
      const cost = skipped ? Number.NaN : this.#load(index) / set.weights[index]!;
      costs[index] = cost;
      if (cost < least) least = cost;
    }
    this.credit.begin();
    // NaN, the mark of one that was tried, equals nothing.
    for (let index = 0; index < costs.length; index++) if (costs[index] === least) this.credit.offer(index);
    return this.credit.settle();
  }

  order(key: number, out: Uint16Array): number {
    const first = this.pick(key, nothingTried);
    if (first < 0) return 0;
    this.#ranking.scores[first] = Number.NEGATIVE_INFINITY;
    return this.#ranking.take(out);
  }

  turns(out: Uint16Array): number {
    return fillRound(this.credit.set.weights, out);
  }
}

export default defineScheduler({
  name: "least-connections",
  summary: "The backend with the least work under way for its weight; equal ones in turn.",
  options: noOptions,
  faces: ["pick", "order", "kernel"],
  kernelId: 2,
  needs: { load: "own" },
  create: (set, _options, env, previous) => new LeastConnections(set, env, previous),
});
