import { hashText, mix32 } from "../../../core/hash.ts";
import type { Client } from "../client.ts";
import type { ServiceAnswers } from "../service-answers.ts";
import { type Choice, has, type Kind, type Leaf, type Plan } from "./plan.ts";

/**
 * Steps of sequences that fall evenly into every part of 0..1 (Weyl): the groups' shares are kept within any run of
 * answers, and A and AAAA, asked in turn, both get theirs. Draws inside each other need steps that are independent.
 */
const STEPS = [(Math.sqrt(5) - 1) / 2, Math.SQRT2 - 1, Math.sqrt(3) - 1, Math.sqrt(7) - 2];

const WHOLE = 2 ** 32;

/**
 * Which of the groups that have something to give gets a client's hash: rendezvous with weights, so that a group that
 * fails moves nobody but its own clients, and a group that comes back gets exactly those again.
 */
export function byHash({ weights }: Pick<Choice, "weights">, seeds: ArrayLike<number>, key: number): number {
  let best = 0;
  let highest = -1;
  for (let i = 0; i < weights.length; i++) {
    const unit = (mix32(key ^ seeds[i]!) + 1) / (WHOLE + 1);
    const score = weights[i]! / -Math.log(unit);
    if (score > highest) {
      highest = score;
      best = i;
    }
  }
  return best;
}

/** The part that `unit` (0..1) falls into. */
function byWeight({ weights }: Pick<Choice, "weights">, unit: number): number {
  let point = unit * weights.reduce((sum, weight) => sum + weight, 0);
  for (let i = 0; i < weights.length; i++) {
    point -= weights[i]!;
    if (point < 0) return i;
  }
  return weights.length - 1;
}

/** What the groups' names are hashed to, so that each client has an order of its own. */
export const seedsOf = ({ paths }: Pick<Choice, "paths">, seed: number): Uint32Array =>
  Uint32Array.from(paths, (path) => hashText(path, seed));

/** Leads each question of one service to the group that answers it. */
export class Steering {
  private readonly planned: () => Plan;
  private readonly seed: number;
  private readonly answersOf: (leaf: Leaf) => ServiceAnswers;
  private plan: Plan | null = null;
  private turn: number;
  private readonly seeds = new WeakMap<Choice, Uint32Array>();

  /** `planned`: makes the plan of the present snapshot. `answersOf`: what a group answers. `start`: any number from 0 to 1. */
  constructor(planned: () => Plan, answersOf: (leaf: Leaf) => ServiceAnswers, seed: number, start: number) {
    this.planned = planned;
    this.answersOf = answersOf;
    this.seed = seed;
    this.turn = Math.floor(start * 1e6);
  }

  /** The snapshot is another one. */
  changed(): void {
    this.plan = null;
  }

  /**
   * What this client is answered with now; the scope of the answer widens by what was looked at. `kind`: of the addresses
   * that are asked for; null: both, or none.
   */
  answers(client: Client, network: { ipv4: number; ipv6: number }, kind: Kind | null = null): ServiceAnswers {
    this.plan ??= this.planned();
    let { plan } = this;
    this.turn++;
    for (let depth = 0; plan.kind !== "leaf"; depth++) {
      if (plan.kind === "place") {
        plan = plan.parts[client.place()] ?? plan.parts.at(-1)!;
        continue;
      }
      const choice: Choice = kind === null ? plan : plan[kind];
      const drawn =
        plan.kind === "hash"
          ? byHash(choice, this.seedsFor(choice), client.key(network))
          : byWeight(choice, (this.turn * STEPS[depth]!) % 1);
      plan = choice.parts[drawn]!;
    }
    return this.answersOf(plan);
  }

  /** Are there addresses of a kind for some clients? */
  gives(kind: Kind): boolean {
    this.plan ??= this.planned();
    return has(this.plan, kind);
  }

  private seedsFor(choice: Choice): Uint32Array {
    let known = this.seeds.get(choice);
    if (known === undefined) {
      known = seedsOf(choice, this.seed);
      this.seeds.set(choice, known);
    }
    return known;
  }
}
