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
 * weights hold with and without load. Where all weights are equal the turns are a walk round, and the first one without
 * work ends the search: with many backends few are looked at.
 */
class LeastConnections implements Scheduler {
  readonly credit: SmoothCredit;
  readonly #load: (index: number) => number;
  readonly #ranking: Ranking;
  readonly #even: boolean;
  /** Where the walk goes on. */
  #next: number;

  constructor(set: EligibleSet, env: SchedulerEnv, previous?: Scheduler) {
    const before = previous instanceof LeastConnections ? previous : undefined;
    this.credit = new SmoothCredit(set, env.random, before?.credit);
    this.#load = (index) => env.load(index);
    this.#ranking = new Ranking(set.ids.length);
    this.#even = set.weights.every((weight) => weight === set.weights[0]);
    const turn = before?.credit.set.ids[before.#next];
    const at = turn === undefined ? -1 : set.ids.findIndex((id) => id >= turn);
    this.#next = before === undefined ? Math.floor(env.random() * set.ids.length) : Math.max(0, at);
  }

  pick(_key: number, tried: Tried): number {
    return this.#even ? this.#walk(tried) : this.#scan(tried);
  }

  #walk(tried: Tried): number {
    const size = this.credit.set.ids.length;
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let step = 0, index = this.#next; step < size && least > 0; step++, index++) {
      if (index >= size) index -= size;
      if (tried.size > 0 && tried.has(index)) continue;
      const load = this.#load(index);
      if (load < least) [best, least] = [index, load];
    }
    if (best >= 0) this.#next = best + 1 < size ? best + 1 : 0;
    return best;
  }

  #scan(tried: Tried): number {
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

  order(_key: number, out: Uint16Array): number {
    const first = this.#scan(nothingTried);
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
