/** A set of octets below 128. */
export type OctetSet = Uint8Array;

/** A pattern as a tree. */
export type Pattern =
  | { kind: "set"; set: OctetSet }
  | { kind: "sequence"; parts: Pattern[] }
  | { kind: "either"; parts: Pattern[] }
  /** `most` Infinity: without end. */
  | { kind: "repeat"; of: Pattern; least: number; most: number };

/** Longest pattern, and what it may come to once its counts are written out: both bound what a request can cost. */
const LONGEST = 512;
const MOST_SETS = 2000;
const MOST_COUNT = 256;

const SETS: Record<string, RegExp> = { d: /[0-9]/, D: /[^0-9]/, w: /\w/, W: /\W/ };

const setOf = (member: (character: string) => boolean): OctetSet =>
  Uint8Array.from({ length: 128 }, (_, octet) => (member(String.fromCharCode(octet)) ? 1 : 0));
const one = (character: string): Pattern => ({ kind: "set", set: setOf((other) => other === character) });

/** Sets once every count is written out: `(ab){3}` has six. */
function sizeOf(pattern: Pattern): number {
  if (pattern.kind === "set") return 1;
  if (pattern.kind !== "repeat") return pattern.parts.reduce((sum, part) => sum + sizeOf(part), 1);
  const times = pattern.most === Number.POSITIVE_INFINITY ? pattern.least + 1 : pattern.most;
  return 1 + sizeOf(pattern.of) * Math.max(1, times);
}

/** What a pattern may not hold is thrown as text. */
class Reader {
  private at = 0;
  private readonly text: string;
  constructor(text: string) {
    this.text = text;
  }

  whole(): Pattern {
    const made = this.either();
    if (this.at < this.text.length) throw "A ) has no ( before it.";
    if (sizeOf(made) > MOST_SETS) throw `With its counts written out it has more than ${MOST_SETS} parts.`;
    return made;
  }

  private either(): Pattern {
    const parts = [this.sequence()];
    while (this.take("|")) parts.push(this.sequence());
    return parts.length === 1 ? parts[0]! : { kind: "either", parts };
  }

  private sequence(): Pattern {
    const parts: Pattern[] = [];
    while (this.at < this.text.length && !"|)".includes(this.text[this.at]!)) parts.push(this.repeated());
    return { kind: "sequence", parts };
  }

  private repeated(): Pattern {
    const of = this.atom();
    const [least, most] = this.take("*")
      ? [0, Number.POSITIVE_INFINITY]
      : this.take("+")
        ? [1, Number.POSITIVE_INFINITY]
        : this.take("?")
          ? [0, 1]
          : this.count();
    if (least === 1 && most === 1) return of;
    if (/^[*+?{]/.test(this.text.slice(this.at))) throw "A count behind a count means nothing.";
    return { kind: "repeat", of, least, most };
  }

  private count(): [number, number] {
    if (this.text[this.at] !== "{") return [1, 1];
    const found = /^\{(\d{1,3})(?:(,)(\d{1,3})?)?\}/.exec(this.text.slice(this.at));
    if (found === null) throw "A { begins a count such as {2} or {1,3}; write \\{ for the character.";
    this.at += found[0].length;
    const least = Number(found[1]);
    const most = found[2] === undefined ? least : found[3] === undefined ? Number.POSITIVE_INFINITY : Number(found[3]);
    if (most < least || least > MOST_COUNT || (most > MOST_COUNT && most !== Number.POSITIVE_INFINITY))
      throw `A count goes up to ${MOST_COUNT}, the smaller number first.`;
    return [least, most];
  }

  private atom(): Pattern {
    const character = this.text[this.at++]!;
    if (character === "(") return this.group();
    if (character === "[") return { kind: "set", set: this.members() };
    if (character === ".") return { kind: "set", set: setOf(() => true) };
    if (character === "\\") return { kind: "set", set: this.escaped() };
    if (character === "^" || character === "$") throw "It is for the whole path: leave ^ and $ out.";
    if ("*+?{".includes(character)) throw `There is nothing before ${character} to repeat.`;
    return one(character);
  }

  private group(): Pattern {
    if (this.take("?") && !this.take(":")) throw "Groups are ( ) or (?: ): looking around is not offered.";
    const inner = this.either();
    if (!this.take(")")) throw "A ( has no ) behind it.";
    return inner;
  }

  private escaped(): OctetSet {
    const character = this.text[this.at++];
    if (character === undefined) throw "A \\ stands at the end.";
    const named = SETS[character];
    if (named !== undefined) return setOf((other) => named.test(other));
    if (/[0-9A-Za-z]/.test(character)) throw `\\${character} is not known: \\d, \\w, \\D, \\W or \\ and a sign.`;
    return setOf((other) => other === character);
  }

  private members(): OctetSet {
    const not = this.take("^");
    const set = new Uint8Array(128);
    for (let first = true; first || this.text[this.at] !== "]"; first = false) {
      if (this.at >= this.text.length) throw "A [ has no ] behind it.";
      const low = this.member();
      const end = this.text[this.at] === "-" && this.text[this.at + 1] !== "]" && this.at + 1 < this.text.length;
      if (!end) {
        low.forEach((member, octet) => {
          if (member === 1) set[octet] = 1;
        });
        continue;
      }
      this.at++;
      const [from, to] = [low, this.member()].map((side) => {
        if (side.reduce((sum, member) => sum + member, 0) !== 1) throw "A range has one character at each end.";
        return side.indexOf(1);
      }) as [number, number];
      if (to < from) throw "A range begins with the smaller character.";
      set.fill(1, from, to + 1);
    }
    this.at++;
    return not ? set.map((member) => 1 - member) : set;
  }

  private member(): OctetSet {
    const character = this.text[this.at++]!;
    return character === "\\" ? this.escaped() : setOf((other) => other === character);
  }

  private take(character: string): boolean {
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }
}

/**
 * Reads a pattern for whole paths: characters, `.`, `[a-z]`, `[^/]`, `\d \w \D \W`, groups, `|`, `* + ? {2} {1,3}`. These
 * are the regular expressions that a finite automaton can follow, one step an octet. @returns the tree, or a sentence
 * that says what is wrong.
 */
export function parsePattern(text: string): Pattern | string {
  if (!/^[ -~]+$/.test(text)) return "It is printable ASCII.";
  if (text.length > LONGEST) return `It has at most ${LONGEST} characters.`;
  try {
    return new Reader(text).whole();
  } catch (thrown) {
    if (typeof thrown === "string") return thrown;
    throw thrown;
  }
}
