import { Automaton } from "./automaton.ts";
import type { Pattern } from "./syntax.ts";

/** Deterministic states that are kept; beyond it all are forgotten and made again as they are needed. */
const MOST_STATES = 4096;

/** A set of the automaton's states that is known: where each class of octets leads from it. */
interface State {
  states: readonly number[];
  ended: readonly number[];
  /** By class of octets. */
  next: (State | undefined)[];
}

const NONE: readonly number[] = [];

/**
 * Many patterns as one machine: finding all that fit a path costs one step an octet, however many there are and
 * whatever the path holds. Its states are made when a path first needs them (as RE2 does it), so that nothing a stranger
 * sends makes it take more than that, nor hold more than a bounded number of states.
 */
export class PatternSet {
  private readonly automaton = new Automaton();
  private readonly classOf: Uint8Array;
  private readonly examples: readonly number[];
  private known = new Map<string, State>();
  private start: State;

  /** Patterns are spoken of by their place in the list. */
  constructor(patterns: readonly Pattern[]) {
    for (const [i, pattern] of patterns.entries()) this.automaton.add(pattern, i);
    const { of, examples } = this.automaton.classes();
    this.classOf = of;
    this.examples = examples;
    this.start = this.stateOf(this.automaton.start());
  }

  /** States that are held now. */
  get size(): number {
    return this.known.size;
  }

  /** The patterns that the whole text fits, ascending. */
  find(text: string): readonly number[] {
    let state = this.start;
    for (let i = 0; i < text.length; i++) {
      const octet = text.charCodeAt(i);
      if (octet > 127) return NONE;
      const kind = this.classOf[octet]!;
      state = state.next[kind] ?? this.lead(state, kind);
      if (state.states.length === 0) return NONE;
    }
    return state.ended;
  }

  private lead(from: State, kind: number): State {
    const to = this.stateOf(this.automaton.step(from.states, this.examples[kind]!));
    from.next[kind] = to;
    return to;
  }

  private stateOf(states: readonly number[]): State {
    const key = states.join();
    const there = this.known.get(key);
    if (there !== undefined) return there;
    if (this.known.size >= MOST_STATES) {
      this.known.clear();
      // What is forgotten may still lead to what is: begin anew, so that all of it can go.
      this.start = { ...this.start, next: [] };
      this.known.set(this.start.states.join(), this.start);
    }
    const made: State = { states, ended: this.automaton.ended(states), next: new Array(this.examples.length) };
    this.known.set(key, made);
    return made;
  }
}
