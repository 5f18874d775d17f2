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
import { RoundRobin } from "./round-robin.ts";
import { SmoothCredit } from "./smooth.ts";

/** Smooth weighted turns; where all weights are equal that is a walk round, at the same cost for any number. */
class WeightedRoundRobin implements Scheduler {
  readonly credit: SmoothCredit;
  readonly #even: RoundRobin | null;
  readonly #ranking: Ranking;

  constructor(set: EligibleSet, env: SchedulerEnv, previous?: Scheduler) {
    this.credit = new SmoothCredit(
      set,
      env.random,
      previous instanceof WeightedRoundRobin ? previous.credit : undefined,
    );
    this.#ranking = new Ranking(set.ids.length);
    const even = set.weights.every((weight) => weight === set.weights[0]);
    const before = previous instanceof WeightedRoundRobin ? (previous.#even ?? undefined) : undefined;
    this.#even = even ? new RoundRobin(set, env, before) : null;
  }

  pick(key: number, tried: Tried): number {
    return this.#even === null ? this.#scan(tried) : this.#even.pick(key, tried);
  }

  #scan(tried: Tried): number {
    const credit = this.credit;
    credit.begin();
    const size = credit.set.ids.length;
    for (let index = 0; index < size; index++) if (tried.size === 0 || !tried.has(index)) credit.offer(index);
    return credit.settle();
  }

  /** The first place takes its turn; the others stand by what they are owed. */
  order(_key: number, out: Uint16Array): number {
    const first = this.#scan(nothingTried);
    if (first < 0) return 0;
    const scores = this.#ranking.scores;
    for (let index = 0; index < scores.length; index++) scores[index] = -this.credit.credit[index]!;
    scores[first] = Number.NEGATIVE_INFINITY;
    return this.#ranking.take(out);
  }

  turns(out: Uint16Array): number {
    return fillRound(this.credit.set.weights, out);
  }
}

export default defineScheduler({
  name: "weighted-round-robin",
  summary: "Backends in turn, in proportion to their weights and without bursts.",
  options: noOptions,
  faces: ["pick", "order", "kernel"],
  kernelId: 1,
  needs: {},
  create: (set, _options, env, previous) => new WeightedRoundRobin(set, env, previous),
});
