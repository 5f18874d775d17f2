import type { OctetSet, Pattern } from "./syntax.ts";

/** What a state of the automaton does: reads an octet of its set, forks, or ends a pattern. */
const Kind = { READ: 0, FORK: 1, END: 2 } as const;

/**
 * A non-deterministic automaton of many patterns at once (Thompson, CACM 1968). States are numbers; those that read an
 * octet go on to the next number.
 */
export class Automaton {
  private readonly kinds: number[] = [];
  private readonly sets: (OctetSet | null)[] = [];
  /** Where a fork goes besides; -1: to one place only. A pattern's number where it ends. */
  private readonly first: number[] = [];
  private readonly second: number[] = [];
  private readonly starts: number[] = [];

  add(pattern: Pattern, number: number): void {
    this.starts.push(this.kinds.length);
    this.write(pattern);
    this.push(Kind.END, null, number, -1);
  }

  private push(kind: number, set: OctetSet | null, first: number, second: number): number {
    this.kinds.push(kind);
    this.sets.push(set);
    this.first.push(first);
    this.second.push(second);
    return this.kinds.length - 1;
  }

  /** A fork to the next state, and to one that is named later. */
  private fork(): number {
    const at = this.push(Kind.FORK, null, this.kinds.length + 1, -1);
    return at;
  }

  private write(pattern: Pattern): void {
    if (pattern.kind === "set") this.push(Kind.READ, pattern.set, -1, -1);
    else if (pattern.kind === "sequence") for (const part of pattern.parts) this.write(part);
    else if (pattern.kind === "either") this.writeEither(pattern.parts);
    else this.writeRepeat(pattern.of, pattern.least, pattern.most);
  }

  private writeEither(parts: readonly Pattern[]): void {
    const ends: number[] = [];
    for (const [i, part] of parts.entries()) {
      const fork = i < parts.length - 1 ? this.fork() : -1;
      this.write(part);
      if (fork < 0) continue;
      ends.push(this.push(Kind.FORK, null, -1, -1));
      this.second[fork] = this.kinds.length;
    }
    for (const end of ends) this.first[end] = this.kinds.length;
  }

  private writeRepeat(of: Pattern, least: number, most: number): void {
    for (let i = 0; i < least; i++) this.write(of);
    if (most === Number.POSITIVE_INFINITY) {
      const fork = this.fork();
      this.write(of);
      this.push(Kind.FORK, null, fork, -1);
      this.second[fork] = this.kinds.length;
      return;
    }
    const forks: number[] = [];
    for (let i = least; i < most; i++) {
      forks.push(this.fork());
      this.write(of);
    }
    for (const fork of forks) this.second[fork] = this.kinds.length;
  }

  get size(): number {
    return this.kinds.length;
  }

  /** The states in which nothing has been read. */
  start(): number[] {
    return this.closed(this.starts);
  }

  /** The states after reading an octet in these. */
  step(states: readonly number[], octet: number): number[] {
    return this.closed(states.filter((at) => this.sets[at]?.[octet] === 1).map((at) => at + 1));
  }

  /** The patterns that end in these states, ascending. */
  ended(states: readonly number[]): number[] {
    return states
      .filter((at) => this.kinds[at] === Kind.END)
      .map((at) => this.first[at]!)
      .sort((a, b) => a - b);
  }

  /** Follows forks: the states that read or end, ascending. */
  private closed(from: readonly number[]): number[] {
    const seen = new Set<number>();
    const rest = [...from];
    for (let at = rest.pop(); at !== undefined; at = rest.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      if (this.kinds[at] !== Kind.FORK) continue;
      rest.push(this.first[at]!);
      if (this.second[at]! >= 0) rest.push(this.second[at]!);
    }
    return [...seen].filter((at) => this.kinds[at] !== Kind.FORK).sort((a, b) => a - b);
  }

  /** Octets that no set tells apart, by one number for each class; and an octet of each. */
  classes(): { of: Uint8Array; examples: number[] } {
    const distinct = [...new Set(this.sets.filter((set) => set !== null).map((set) => set.join("")))];
    const of = new Uint8Array(128);
    const known = new Map<string, number>();
    const examples: number[] = [];
    for (let octet = 0; octet < 128; octet++) {
      const signature = distinct.map((set) => set[octet]).join("");
      const number = known.get(signature) ?? examples.push(octet) - 1;
      known.set(signature, number);
      of[octet] = number;
    }
    return { of, examples };
  }
}
