/** A source of numbers in [0, 1). */
export type Random = () => number;

/** What a target found in one run. */
export interface FuzzRun {
  /** How many inputs came out which way. */
  outcomes: Map<string, number>;
  /** The first faults: the rule that was broken, and the input as hex. */
  faults: { why: string; hex: string }[];
}

export interface FuzzTarget {
  summary: string;
  /** Null where it can be run; else the reason why not. */
  missing?(): string | null;
  run(inputs: number, random: Random): FuzzRun | Promise<FuzzRun>;
}

/** Numbers that a seed fixes (mulberry32): a fault is found again by the same command. */
export function sequence(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const MOST_FAULTS = 10;

/** A broken rule; anything else that is thrown is a fault as well. */
export class Fault extends Error {}

/** `make` an input, then `judge` it: its outcome in few words, or a throw. */
export function eachInput(make: (random: Random) => Buffer, judge: (input: Buffer, random: Random) => string) {
  return (inputs: number, random: Random): FuzzRun => {
    const outcomes = new Map<string, number>();
    const faults: FuzzRun["faults"] = [];
    for (let i = 0; i < inputs; i++) {
      const input = make(random);
      try {
        const outcome = judge(input, random);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      } catch (error) {
        outcomes.set("fault", (outcomes.get("fault") ?? 0) + 1);
        const why = error instanceof Fault ? error.message : `threw ${error}`;
        if (faults.length < MOST_FAULTS) faults.push({ why, hex: input.toString("hex") });
      }
    }
    return { outcomes, faults };
  };
}

export const below = (random: Random, n: number): number => Math.floor(random() * n);
export const oneOf = <T>(random: Random, items: readonly T[]): T => items[below(random, items.length)]!;

/** `times` small damages: a word put in, octets taken out, repeated or changed, the end cut off. */
export function damage(text: string, times: number, words: readonly string[], random: Random): string {
  let out = text;
  for (let i = 0; i < times; i++) {
    const at = below(random, out.length + 1);
    switch (below(random, 8)) {
      case 0:
        out = out.slice(0, at) + out.slice(at + 1 + below(random, 4));
        break;
      case 1:
        out = out.slice(0, at) + String.fromCharCode(below(random, 256)) + out.slice(at + 1);
        break;
      case 2:
        out = out.slice(0, at) + out.slice(Math.max(0, at - below(random, 24)));
        break;
      case 3:
        if (random() < 0.2) out = out.slice(0, at);
        break;
      default:
        out = out.slice(0, at) + oneOf(random, words) + out.slice(at + below(random, 2));
    }
  }
  return out;
}

/** Places to cut an input of this length, in order: each piece may end anywhere. */
export function cuts(random: Random, length: number): number[] {
  const places = Array.from({ length: 1 + below(random, 3) }, () => below(random, length + 1));
  return [...places.sort((a, b) => a - b), length];
}
