import { z } from "zod";
import { type AgentWord, defineCheck } from "../core/check.ts";
import { printable } from "../observe/printable.ts";
import { CR, LF, VALUE } from "../protocols/http/octets.ts";
import { exchange, type Finding, failed, passed } from "./exchange.ts";

/** Longest line that is read, bytes: HAProxy's, whose buffers have as many. */
const LONGEST = 16 * 1024;
/** What is kept of a description. */
const DESCRIPTION = 128;
/** Most percent of a weight; what comes out is bounded by the largest weight anyway. */
const MOST_PERCENT = 10_000;
const MOST_LIMIT = 1_000_000;
/** Words of a line that are shown, the last ones, which count. */
const MOST_SHOWN = 16;

const states: Record<string, AgentWord> = {
  ready: { admin: "ready" },
  drain: { admin: "drain" },
  maint: { admin: "maintenance" },
  up: { up: true },
  down: { up: false },
  fail: { up: false },
  stopped: { up: false },
};

/** An agent's line, read. */
export interface AgentLine {
  said: AgentWord;
  /** The words that count and the description, for people. */
  detail: string;
}

/**
 * Reads the line of an agent: HAProxy's protocol (configuration manual, `agent-check`). Words apart by blanks, tabs and
 * commas, in any order and case, then perhaps `#` and a description: `ready` `drain` `maint`, `up` `down` `fail`
 * `stopped`, `75%` or `weight:75%`, `maxconn:30`, and one of our own, `load:0.7`. The last of a kind counts. A word
 * that is not known is named in `detail` and changes nothing.
 */
export function parseAgentLine(line: string): AgentLine {
  const sharp = line.indexOf("#");
  const words = (sharp < 0 ? line : line.slice(0, sharp)).split(/[ \t,]+/).filter((word) => word !== "");
  const description = sharp < 0 ? "" : line.slice(sharp + 1).trim();
  const said: AgentWord = {};
  const known: string[] = [];
  let unknown: string | null = null;
  for (const written of words) {
    const word = written.toLowerCase();
    const meaning = Object.hasOwn(states, word) ? states[word]! : amountOf(word);
    if (meaning === null) unknown ??= written;
    else {
      Object.assign(said, meaning);
      known.push(word);
    }
  }
  const parts = [
    known.slice(-MOST_SHOWN).join(" ") || "nothing",
    ...(description ? [`(${printable(description.slice(0, DESCRIPTION))})`] : []),
    ...(unknown === null ? [] : [`and an unknown word: ${printable(unknown.slice(0, 32))}`]),
  ];
  return { said, detail: parts.join(" ") };
}

function amountOf(word: string): AgentWord | null {
  const percent = /^(?:weight:)?(\d{1,5})%$/.exec(word);
  if (percent) return Number(percent[1]) <= MOST_PERCENT ? { percent: Number(percent[1]) } : null;
  const limit = /^maxconn:(\d{1,7})$/.exec(word);
  if (limit) return Number(limit[1]) <= MOST_LIMIT ? { limit: Number(limit[1]) } : null;
  const load = /^load:(0(?:\.\d{1,9})?|1(?:\.0{1,9})?|\.\d{1,9})$/.exec(word);
  return load ? { load: Number(load[1]) } : null;
}

function judge(line: Buffer): Finding {
  if (line.length > LONGEST) return failed("SLUICE_CHECK_PROTOCOL", `a line of over ${LONGEST} bytes`);
  if (line.some((octet) => VALUE[octet] === 0))
    return failed("SLUICE_CHECK_PROTOCOL", "bytes in the line that are no text");
  const { said, detail } = parseAgentLine(line.toString());
  return { ...passed(detail), said };
}

/** Asks a backend's agent. Its verdict passes when there was an answer; what it said is in it. */
export default defineCheck({
  name: "agent",
  summary: "The backend says how it is, in a line.",
  options: z.strictObject({ send: z.string().optional() }),
  probe(target, { send }, timeout) {
    const pieces: Buffer[] = [];
    let length = 0;
    return exchange(
      target,
      {
        ...(send === undefined ? {} : { request: Buffer.from(send) }),
        received(chunk) {
          const end = chunk.findIndex((octet) => octet === CR || octet === LF);
          // No more than can matter is kept of what a backend sends.
          const piece = Buffer.from(chunk.subarray(0, Math.min(end < 0 ? chunk.length : end, LONGEST + 1 - length)));
          pieces.push(piece);
          length += piece.length;
          return end >= 0 || length > LONGEST ? judge(Buffer.concat(pieces)) : null;
        },
        // Of a line that was cut nobody knows what it was to say: `maxconn:1` may have been `maxconn:100`.
        ended: () => failed("SLUICE_CHECK_CLOSED", length === 0 ? "closed without a line" : "closed inside the line"),
      },
      timeout,
    );
  },
});
