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

/** Smooth weighted turns. */
class WeightedRoundRobin implements Scheduler {
  readonly credit: SmoothCredit;
  readonly #ranking: Ranking;

  constructor(set: EligibleSet, env: SchedulerEnv, previous?: Scheduler) {
    this.credit = new SmoothCredit(
      set,
      env.random,
      previous instanceof WeightedRoundRobin ? previous.credit : undefined,
    );
    this.#ranking = new Ranking(set.ids.length);
  }

  /** One that was tried, and failed, loses its turn. */
  pick(_key: number, tried: Tried): number {
    const { credit } = this;
    if (tried.size > 0 && !anyUntried(credit.set.ids.length, tried)) return -1;
    credit.earn();
    for (let index = credit.first(); index >= 0; index = credit.first()) {
      credit.pay();
      if (tried.size === 0 || !tried.has(index)) return index;
    }
    return -1;
  }

  /** The first place takes its turn; the others stand by what they are owed. */
  order(key: number, out: Uint16Array): number {
    const first = this.pick(key, nothingTried);
    if (first < 0) return 0;
    const scores = this.#ranking.scores;
    for (let index = 0; index < scores.length; index++) scores[index] = -this.credit.of(index);
    scores[first] = Number.NEGATIVE_INFINITY;
    return this.#ranking.take(out);
  }

  mark(): void {
    this.credit.mark();
  }

  returned(): boolean {
    return this.credit.returned();
  }

  turns(out: Uint16Array): number {
    return fillRound(this.credit.set.weights, out);
  }
}

function anyUntried(size: number, tried: Tried): boolean {
  for (let index = 0; index < size; index++) if (!tried.has(index)) return true;
  return false;
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
