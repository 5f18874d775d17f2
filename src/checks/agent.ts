import { z } from "zod";
import { type AgentWord, defineCheck } from "../core/check.ts";
import { exchange, type Finding, failed, passed } from "./exchange.ts";

/** Longest line that is read, bytes. */
const LONGEST = 1024;
/** What is kept of a description. */
const DESCRIPTION = 128;
/** Most percent of a weight; what comes out is bounded by the largest weight anyway. */
const MOST_PERCENT = 10_000;
const MOST_LIMIT = 1_000_000;

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
    known.join(" ") || "nothing",
    ...(description ? [`(${description.slice(0, DESCRIPTION)})`] : []),
    ...(unknown === null ? [] : [`and an unknown word: ${unknown.slice(0, 32)}`]),
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

function judge(line: string): Finding {
  if (line.length > LONGEST) return failed("SLUICE_CHECK_PROTOCOL", `a line of over ${LONGEST} bytes`);
  if (/[^\t -~]/.test(line)) return failed("SLUICE_CHECK_PROTOCOL", "bytes in the line that are no text");
  const { said, detail } = parseAgentLine(line);
  return { ...passed(detail), said };
}

/** Asks a backend's agent. Its verdict passes when there was an answer; what it said is in it. */
export default defineCheck({
  name: "agent",
  summary: "The backend says how it is, in a line.",
  options: z.strictObject({ send: z.string().optional() }),
  probe(target, { send }, timeout) {
    let text = "";
    return exchange(
      target,
      {
        ...(send === undefined ? {} : { request: Buffer.from(send) }),
        received(chunk) {
          // No more than can matter is kept of what a backend sends.
          text += chunk.toString("latin1", 0, LONGEST + 1);
          const end = text.search(/[\r\n]/);
          return end >= 0 || text.length > LONGEST ? judge(end < 0 ? text : text.slice(0, end)) : null;
        },
        ended: () => (text === "" ? failed("SLUICE_CHECK_CLOSED", "closed without a line") : judge(text)),
      },
      timeout,
    );
  },
});
