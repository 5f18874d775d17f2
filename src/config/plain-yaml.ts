/**
 * A quick reader of what most configurations are made of: block mappings and lists, flow collections on one line (or a
 * whole file of them, as JSON is), scalars on one line, comments. A hundred thousand backends take it some ten
 * milliseconds, the whole parser two seconds. Whatever else YAML has, and whatever could be wrong, it leaves to that
 * one: what it does read means the same there (`plain-yaml.test.ts`).
 */

import { NO_KEY } from "./plain-value.ts";

/** Thrown where the whole parser has to read. */
const BEYOND = Symbol("beyond plain YAML");

const beyond = (): never => {
  throw BEYOND;
};

/** Deeper nesting than any configuration has. */
const MAX_DEPTH = 32;

/** The value of a text; null: the whole parser has to read it. */
export function readPlainYaml(text: string): { value: unknown } | null {
  // Tabs, carriage returns, characters that some take as spaces or line ends, and marks between documents.
  if (/[^\x20-\x7e\n]|^(?:---|\.\.\.)/m.test(text)) return null;
  try {
    const start = text.search(/\S/);
    if (start < 0) return null;
    if (text[start] !== "{" && text[start] !== "[") return { value: new Blocks(text).document() };
    const flow = new Flow(text, start, true);
    const value = flow.collection(0);
    return text.slice(flow.at).trim() === "" ? { value } : null;
  } catch (thrown) {
    if (thrown === BEYOND) return null;
    throw thrown;
  }
}

const WORDS = new Map<string, unknown>([
  ["", null],
  ["~", null],
  ...["null", "Null", "NULL"].map((word): [string, null] => [word, null]),
  ...["true", "True", "TRUE"].map((word): [string, boolean] => [word, true]),
  ...["false", "False", "FALSE"].map((word): [string, boolean] => [word, false]),
]);

/** What begins like a number of the core schema, or has to do with one: 0x1f, 1e3, .5, .inf, +1, 007. */
const NUMERIC = /^[-+.]*[0-9]*\.?[0-9]*(?:[eE][-+]?[0-9]+|[xo][0-9a-fA-F]+)?$|^[-+]?\.(?:inf|nan)$/i;
const SIMPLE_NUMBER = /^(?:0|-?[1-9][0-9]{0,14})$|^-?[0-9]{1,9}\.[0-9]{1,6}$/;

/** `10.0.0.1`: what begins with a digit and has two dots is no number. */
const isDotted = (text: string, first: number): boolean => first >= 0x30 && text.indexOf(".") !== text.lastIndexOf(".");

/** A scalar without quotes, by the core schema of YAML 1.2. */
function plainScalar(text: string): unknown {
  const first = text.charCodeAt(0);
  // Most are addresses and words.
  if (WORDS.has(text)) return WORDS.get(text);
  if (first < 0x3a && !isDotted(text, first) && NUMERIC.test(text))
    return SIMPLE_NUMBER.test(text) && Number(text) !== 0 ? Number(text) : text === "0" ? 0 : beyond();
  return text;
}

/** Characters that a scalar without quotes cannot begin with, or that mean more when it does. */
const INDICATORS = new Set(",[]{}#&*!|>'\"%@`");

function mustBePlain(text: string): void {
  if (INDICATORS.has(text[0]!) || /^[-?:](?: |$)/.test(text)) beyond();
}

const keyOf = (written: unknown, into: object): string => {
  if (typeof written !== "string" || written === NO_KEY || Object.hasOwn(into, written)) return beyond();
  return written;
};

/** Flow collections and quoted scalars, character by character. `lines`: they may go over line ends. */
class Flow {
  readonly #text: string;
  readonly #lines: boolean;
  at: number;

  constructor(text: string, at: number, lines: boolean) {
    this.#text = text;
    this.at = at;
    this.#lines = lines;
  }

  /** The collection that begins here, or the quoted scalar. */
  collection(depth: number): unknown {
    if (depth > MAX_DEPTH) beyond();
    const open = this.#text[this.at];
    if (open === '"' || open === "'") return this.#quoted(open);
    this.at++;
    return open === "{" ? this.#mapping(depth) : this.#list(depth);
  }

  #space(): string | undefined {
    for (;;) {
      const c = this.#text[this.at];
      if (c !== " " && !(this.#lines && c === "\n")) return c;
      this.at++;
    }
  }

  #list(depth: number): unknown[] {
    const list: unknown[] = [];
    if (this.#space() === "]") this.at++;
    else
      do list.push(this.#value(depth));
      while (this.#goesOn("]"));
    return list;
  }

  #mapping(depth: number): Record<string, unknown> {
    const mapping: Record<string, unknown> = {};
    if (this.#space() === "}") this.at++;
    else
      do {
        const quoted = this.#text[this.at] === '"';
        const key = keyOf(this.#space() === '"' ? this.#quoted('"') : this.#plain(), mapping);
        if (this.#text[this.at] !== ":") beyond();
        this.at++;
        // Only behind quotes a value may follow at once.
        if (!quoted && !/[ \n]/.test(this.#text[this.at] ?? "")) beyond();
        mapping[key] = this.#value(depth);
      } while (this.#goesOn("}"));
    return mapping;
  }

  /** Past a comma to the next entry, or past the end. */
  #goesOn(end: string): boolean {
    const c = this.#space();
    this.at++;
    if (c !== "," && c !== end) beyond();
    if (c === ",") this.#space();
    return c === ",";
  }

  #value(depth: number): unknown {
    const c = this.#space();
    return c === "{" || c === "[" || c === '"' || c === "'" ? this.collection(depth + 1) : this.#plain();
  }

  #plain(): unknown {
    const start = this.at;
    for (let c = this.#text[this.at]; c !== undefined && !",[]{}\n".includes(c); c = this.#text[++this.at]) {
      if (c === "#") beyond();
      const next = this.#text[this.at + 1];
      if (c === ":" && (next === undefined || " \n,[]{}".includes(next))) break;
    }
    // A line that ends in the middle of one, and what begins right after it, would be its continuation.
    const text = this.#text.slice(start, this.at).trimEnd();
    if (text === "") beyond();
    mustBePlain(text);
    if (this.#text[this.at] === "\n" && !/[,\]}]/.test(this.#space() ?? "")) beyond();
    return plainScalar(text);
  }

  #quoted(quote: string): string {
    const end = this.#text.indexOf(quote, this.at + 1);
    const inner = end < 0 ? beyond() : this.#text.slice(this.at + 1, end);
    // A second quote in single ones is an escape, and lines are folded.
    if (inner.includes("\\") || inner.includes("\n") || this.#text[end + 1] === quote) beyond();
    this.at = end + 1;
    return inner;
  }
}

const SPACE = 0x20;

/** `key:` with what follows; the key alone is short and holds no indicator. */
const ENTRY = /^([A-Za-z0-9_$][\w.$/-]{0,99}):(?: +(.*))?$/s;

/** Block mappings and lists, line by line. */
class Blocks {
  /** Of each line that says something: how far it stands in, and what it says. */
  readonly #indents: number[] = [];
  readonly #lines: string[] = [];
  #at = 0;

  constructor(text: string) {
    for (let at = 0, end = 0; at < text.length; at = end + 1) {
      end = text.indexOf("\n", at);
      if (end < 0) end = text.length;
      let first = at;
      while (text.charCodeAt(first) === SPACE) first++;
      if (first >= end || text[first] === "#") continue;
      let last = end;
      while (text.charCodeAt(last - 1) === SPACE) last--;
      this.#indents.push(first - at);
      this.#lines.push(text.slice(first, last));
    }
  }

  document(): unknown {
    const value = this.#block(this.#indents[0] ?? beyond(), 0);
    return this.#at === this.#lines.length ? value : beyond();
  }

  #here(indent: number): string | null {
    return this.#indents[this.#at] === indent ? this.#lines[this.#at]! : null;
  }

  #block(indent: number, depth: number): unknown {
    if (depth > MAX_DEPTH) beyond();
    return isItem(this.#here(indent)) ? this.#list(indent, depth) : this.#mapping(indent, depth);
  }

  #mapping(indent: number, depth: number): Record<string, unknown> {
    const mapping: Record<string, unknown> = {};
    for (let line = this.#here(indent); line !== null; line = this.#here(indent)) {
      const [, written, rest = ""] = ENTRY.exec(line) ?? beyond();
      const key = keyOf(plainScalar(written!), mapping);
      this.#at++;
      mapping[key] = this.#value(rest, indent, depth, true);
    }
    return mapping;
  }

  #list(indent: number, depth: number): unknown[] {
    const list: unknown[] = [];
    for (let line = this.#here(indent); isItem(line); line = this.#here(indent)) {
      const rest = line.slice(1).trimStart();
      if ((rest.includes(":") && ENTRY.test(rest)) || isItem(rest)) {
        // What stands behind the dash begins a block of its own, as far in as it stands.
        const inner = indent + line.length - rest.length;
        this.#indents[this.#at] = inner;
        this.#lines[this.#at] = rest;
        list.push(this.#block(inner, depth + 1));
      } else {
        this.#at++;
        list.push(this.#value(rest, indent, depth, false));
      }
    }
    return list;
  }

  /** What `rest` of a line says or, when it says nothing, the block below. */
  #value(rest: string, indent: number, depth: number, ofKey: boolean): unknown {
    const below = this.#indents[this.#at] ?? -1;
    if (rest === "" || rest[0] === "#") {
      // A list may stand below its key as far in as that.
      if (below > indent || (ofKey && isItem(this.#here(indent)))) return this.#block(below, depth + 1);
      return null;
    }
    // A line further in would go on with this one.
    if (below > indent) beyond();
    const open = rest[0]!;
    if (open === "{" || open === "[" || open === '"' || open === "'") {
      const flow = new Flow(rest, 0, false);
      const value = flow.collection(depth);
      return /^(?: *| +#.*)$/.test(rest.slice(flow.at)) ? value : beyond();
    }
    const comment = rest.indexOf(" #");
    const text = comment < 0 ? rest : rest.slice(0, comment).trimEnd();
    mustBePlain(text);
    return text.includes(": ") || text.endsWith(":") ? beyond() : plainScalar(text);
  }
}

const isItem = (line: string | null): line is string => line !== null && (line === "-" || line.startsWith("- "));
