import { parseAgentLine } from "../../../src/checks/agent.ts";
import { below, damage, eachInput, Fault, type FuzzTarget, oneOf, type Random } from "./target.ts";

const words = [
  ...[
    "ready",
    "drain",
    "maint",
    "up",
    "down",
    "fail",
    "stopped",
    "READY",
    "75%",
    "weight:75%",
    "maxconn:30",
    "load:0.7",
  ],
  ...["load:1", "load:1.1", "100000%", "-1%", "maxconn:-1", "#", "# busy", "constructor", "__proto__", "\t", ",", " "],
];

function make(random: Random): Buffer {
  const line = Array.from({ length: below(random, 5) }, () => oneOf(random, words)).join(
    oneOf(random, [" ", ",", "\t"]),
  );
  return Buffer.from(damage(line, below(random, 4), words, random), "latin1");
}

/** The words that count, by a plain reader. */
const plain = (line: string): string[] =>
  (line.split("#", 1)[0] ?? "")
    .toLowerCase()
    .split(/[ \t,]/)
    .filter((word) =>
      /^(ready|drain|maint|up|down|fail|stopped|(weight:)?\d{1,5}%|maxconn:\d{1,7}|load:[\d.]{1,11})$/.test(word),
    );

function judge(input: Buffer): string {
  const line = input.toString("latin1");
  const { said, detail } = parseAgentLine(line);
  const { percent = 0, limit = 0, load = 0, ...rest } = said;
  if (!(percent >= 0 && percent <= 10_000)) throw new Fault(`weight ${percent} %`);
  if (!(limit >= 0 && limit <= 1_000_000)) throw new Fault(`limit ${limit}`);
  if (!(load >= 0 && load <= 1)) throw new Fault(`load ${load}`);
  const strange = Object.keys(rest).filter((key) => key !== "admin" && key !== "up");
  if (strange.length > 0) throw new Fault(`it says ${strange}`);
  const known = plain(line);
  if (Object.keys(said).length > 0 && known.length === 0) throw new Fault("something out of nothing");
  // Case and what stands between words mean nothing; neither do words that are not known.
  const again = parseAgentLine(known.join(" , ").toUpperCase());
  if (JSON.stringify(sorted(again.said)) !== JSON.stringify(sorted(said)))
    throw new Fault("another meaning when rewritten");
  if (detail.length > line.length + 300) throw new Fault("a detail that grows");
  return Object.keys(said).sort().join(" ") || "nothing";
}

const sorted = (said: object): [string, unknown][] => Object.entries(said).sort(([a], [b]) => (a < b ? -1 : 1));

export const agentLine: FuzzTarget = {
  summary:
    "lines of agents: amounts within their bounds; the same whatever stands between the words, and without unknown ones",
  run: eachInput(make, judge),
};
