import { type Code, codes } from "../../core/codes.ts";
import { closestWord } from "../../core/words.ts";
import { type Prefix, parsePrefix } from "../../geo/prefix.ts";
import { dropCodes } from "../counting.ts";
import { Limit, TraceVerdict } from "../generated/layout.ts";

/** What a filter asks of a packet. Ports are plain numbers. */
export type Test =
  | { kind: "protocol"; protocol: number }
  | { kind: "source" | "target" | "host"; prefix: Prefix }
  | { kind: "source-port" | "target-port" | "port"; port: number }
  | { kind: "service"; service: string }
  | { kind: "verdict"; verdict: number }
  | { kind: "reason"; reason: number }
  | { kind: "error" };

export type Term = Test & { negated: boolean };

/** Any of the clauses must hold, in each of them every term; no clause: every packet is wanted. */
export type Filter = readonly (readonly Term[])[];

/** What is wrong with a filter, and where in its text. */
export interface FilterFault {
  message: string;
  at: number;
  length: number;
}

interface Word {
  text: string;
  at: number;
}

export const verdictWords = {
  passed: TraceVerdict.TRACE_PASSED,
  dropped: TraceVerdict.TRACE_DROPPED,
  forwarded: TraceVerdict.TRACE_FORWARDED,
  answered: TraceVerdict.TRACE_ANSWERED,
  "second-chance": TraceVerdict.TRACE_SECOND_CHANCE,
} as const;
const protocols: Record<string, number> = { tcp: 6, udp: 17 };

class Fault extends Error {
  readonly fault: FilterFault;
  constructor(message: string, word: Word) {
    super(message);
    this.fault = { message, at: word.at, length: Math.max(1, word.text.length) };
  }
}

const quote = (text: string): string => JSON.stringify(text);
const meant = (text: string, words: readonly string[]): string => {
  const closest = closestWord(text, words);
  return closest ? ` Did you mean ${quote(closest)}?` : ` One of: ${words.join(", ")}.`;
};

const prefixOf = (value: Word): Prefix => {
  const prefix = parsePrefix(value.text);
  if (prefix) return prefix;
  throw new Fault(`${quote(value.text)} is not an address or a network such as 10.0.0.0/8.`, value);
};

const portOf = (value: Word): number => {
  const port = /^\d{1,5}$/.test(value.text) ? Number(value.text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new Fault(`${quote(value.text)} is not a port from 1 to 65535.`, value);
};

const pick = <T>(value: Word, words: Readonly<Record<string, T>>, what: string): T => {
  if (Object.hasOwn(words, value.text)) return words[value.text]!;
  throw new Fault(`${quote(value.text)} is not a ${what}.${meant(value.text, Object.keys(words))}`, value);
};

const reasons = Object.fromEntries(dropCodes.flatMap((code, i) => (code === null ? [] : [[code, i] as const])));

/** Tests that are a word and a value. */
const valued: Record<string, (value: Word, services: readonly string[]) => Test> = {
  proto: (value) => ({ kind: "protocol", protocol: pick(value, protocols, "protocol") }),
  src: (value) => ({ kind: "source", prefix: prefixOf(value) }),
  dst: (value) => ({ kind: "target", prefix: prefixOf(value) }),
  host: (value) => ({ kind: "host", prefix: prefixOf(value) }),
  sport: (value) => ({ kind: "source-port", port: portOf(value) }),
  dport: (value) => ({ kind: "target-port", port: portOf(value) }),
  port: (value) => ({ kind: "port", port: portOf(value) }),
  service: (value, services) => {
    if (services.includes(value.text)) return { kind: "service", service: value.text };
    const known = services.length > 0 ? meant(value.text, services) : "";
    throw new Fault(`No service ${quote(value.text)} is in the kernel.${known}`, value);
  },
  verdict: (value) => ({ kind: "verdict", verdict: pick(value, verdictWords, "verdict") }),
  reason: (value) => ({ kind: "reason", reason: pick(value, reasons, "reason of a drop") }),
};
/** Tests that are a word alone. */
const bare: Record<string, Test> = {
  tcp: { kind: "protocol", protocol: 6 },
  udp: { kind: "protocol", protocol: 17 },
  error: { kind: "error" },
};
const testWords = [...Object.keys(valued), ...Object.keys(bare), "not"];

function parseTerm(words: Word[], end: Word, services: readonly string[]): Term {
  let negated = false;
  for (let word = words.shift() ?? end; ; word = words.shift() ?? end) {
    if (word === end) throw new Fault("A test is missing at the end.", end);
    if (word.text === "not") {
      negated = !negated;
      continue;
    }
    if (Object.hasOwn(bare, word.text)) return { ...bare[word.text]!, negated };
    if (!Object.hasOwn(valued, word.text))
      throw new Fault(`${quote(word.text)} is not a test.${meant(word.text, testWords)}`, word);
    const value = words.shift();
    if (!value) throw new Fault(`${quote(word.text)} needs a value.`, word);
    return { ...valued[word.text]!(value, services), negated };
  }
}

function parseWords(words: Word[], end: Word, services: readonly string[]): Filter {
  const clauses: Term[][] = [[]];
  for (let count = 1; ; count++) {
    const first = words[0] ?? end;
    if (count > Limit.TRACE_TERMS) throw new Fault(`A filter has at most ${Limit.TRACE_TERMS} tests.`, first);
    clauses.at(-1)!.push(parseTerm(words, end, services));
    const joint = words.shift();
    if (!joint) return clauses;
    if (joint.text === "or") clauses.push([]);
    else if (joint.text !== "and")
      throw new Fault(`Tests are joined by "and" or "or", not by ${quote(joint.text)}.`, joint);
  }
}

/**
 * Parses a filter: `tcp and src 10.0.0.0/8 and not dport 443 or verdict dropped`. "and" binds closer than "or"; words
 * are separated by blanks; nothing at all wants every packet. `services`: the names that may stand in it.
 */
export function parseFilter(text: string, services: readonly string[]): Filter | FilterFault {
  const words = [...text.matchAll(/\S+/g)].map((match): Word => ({ text: match[0], at: match.index }));
  if (words.length === 0) return [];
  try {
    return parseWords(words, { text: "", at: text.trimEnd().length }, services);
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.fault;
    throw thrown;
  }
}

export const isFault = (parsed: Filter | FilterFault): parsed is FilterFault => !Array.isArray(parsed);

/** The sentence, the filter, and a caret under what is meant. */
export const faultText = (text: string, { message, at, length }: FilterFault): string =>
  `${message}\n  ${text.replace(/\s/g, " ")}\n  ${" ".repeat(at)}${"^".repeat(length)}`;

/** A test's word for a reason's code: the filter's own words are the codes. */
export const reasonCode = (reason: number): Code | null => {
  const code = dropCodes[reason] ?? null;
  return code !== null && code in codes ? code : null;
};
