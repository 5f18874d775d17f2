import {
  defineScheduler,
  type EligibleSet,
  nothingTried,
  type Scheduler,
  type SchedulerEnv,
  type Tried,
} from "../core/scheduler.ts";
import { coprimeStep } from "./maglev-table.ts";
import { noOptions } from "./options.ts";
import { Ranking } from "./rank.ts";
import { fillRound } from "./round.ts";
import { SmoothCredit } from "./smooth.ts";

/** Of more backends than these only so many are looked at for each choice. */
const LOOKS = 64;
/** Among them so many whose turn is next: when traffic is thin one of them has no work. */
const TURNS = 8;
/** The others stand so far from each other, as a part of all: never a row of neighbours, whose weights may be alike. */
const STRIDE = (Math.sqrt(5) - 1) / 2;

/**
 * Least work under way per weight. Equal ones (all of them, when traffic is thin) take smooth weighted turns, so that
 * weights hold with and without load. Whoever has more work than others at its turn loses the turn. Of very many
 * backends the first one without work ends the search; where all have work, the least of some stands for the least of all.
 */
class LeastConnections implements Scheduler {
  readonly credit: SmoothCredit;
  readonly #load: (index: number) => number;
  readonly #ranking: Ranking;
  readonly #stride: number;
  #at = 0;

  constructor(set: EligibleSet, env: SchedulerEnv, previous?: Scheduler) {
    this.credit = new SmoothCredit(set, env.random, previous instanceof LeastConnections ? previous.credit : undefined);
    this.#load = (index) => env.load(index);
    this.#ranking = new Ranking(set.ids.length);
    this.#stride = coprimeStep(Math.round(set.ids.length * STRIDE), set.ids.length);
  }

  pick(_key: number, tried: Tried): number {
    return tried.size === 0 && this.credit.set.ids.length > LOOKS ? this.#look() : this.#scan(tried);
  }

  #look(): number {
    const { credit } = this;
    const { weights } = credit.set;
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    credit.earn();
    for (let looks = 0; looks < LOOKS && least > 0; looks++) {
      const index = looks < TURNS ? credit.first() : this.#elsewhere();
      const cost = this.#load(index) / weights[index]!;
      if (looks < TURNS) credit.pay();
      if (cost < least) [best, least] = [index, cost];
    }
    return best;
  }

  #elsewhere(): number {
    const size = this.credit.set.ids.length;
    this.#at += this.#stride;
    if (this.#at >= size) this.#at -= size;
    return this.#at;
  }

  #scan(tried: Tried): number {
    const { credit } = this;
    const { weights } = credit.set;
    const costs = this.#ranking.scores;
    let least = Number.POSITIVE_INFINITY;
    for (let index = 0; index < costs.length; index++) {
      const skipped = tried.size > 0 && tried.has(index);
      const cost = skipped ? Number.POSITIVE_INFINITY : this.#load(index) / weights[index]!;
      costs[index] = cost;
      if (cost < least) least = cost;
    }
    if (least === Number.POSITIVE_INFINITY) return -1;
    credit.earn();
    for (;;) {
      const index = credit.first();
      credit.pay();
      if (costs[index] === least) return index;
    }
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
