import type { Command } from "commander";
import { parseDuration } from "../core/words.ts";
import { instanceOption, orExit, tellDaemon } from "./daemon-client.ts";
import { meant } from "./meant.ts";
import { print } from "./output.ts";

const states: Record<string, string> = {
  ready: "ready",
  drain: "drain",
  maint: "maintenance",
  maintenance: "maintenance",
};

const stateWords = "ready, drain, maintenance";
const wishWords = ["state", "weight", "for"];

/** What the daemon is asked; `for` in ms. */
interface Wish {
  admin?: string;
  weight?: number;
  for?: number;
}

interface Options {
  instance: string;
  service?: string;
  json?: boolean;
}

/** Ends the command; `word`: what was written instead of one that is known. */
function usage(message: string, word = "", known: readonly string[] = Object.keys(states)): never {
  console.error(`error: ${message}${meant(word, known)}`);
  process.exit(2);
}

/** Shortest time of a word, ms: ends are looked for once a second. */
const SHORTEST = 1000;

function wishOf(words: readonly string[]): Wish {
  const wish: Wish = {};
  for (let i = 0; i < words.length; i += 2) {
    const [word, value] = [words[i], words[i + 1] ?? ""];
    if (word === "state")
      wish.admin = Object.hasOwn(states, value)
        ? states[value]!
        : usage(`${value ? `"${value}" is not a state` : "state needs a word"}; one of: ${stateWords}`, value);
    else if (word === "weight")
      wish.weight =
        /^\d{1,5}$/.test(value) && Number(value) <= 65535
          ? Number(value)
          : usage(`"${value}" is not a weight: 0 to 65535`);
    else if (word === "for") wish.for = timeOf(value);
    else usage(`"${word}" is not known; one of: ${wishWords.join(", ")}`, word, wishWords);
  }
  return wish.admin === undefined && wish.weight === undefined ? usage("say a state or a weight") : wish;
}

function timeOf(value: string): number {
  const ms = parseDuration(value);
  return ms !== null && ms >= SHORTEST
    ? ms
    : usage(`"${value}" is not a time such as 30m or 12h, of a second at least`);
}

const END = "it is set again, a new revision says something else of the backend, or the daemon is stopped";

export function registerSet(program: Command): void {
  program
    .command("set")
    .description(
      "change a backend, or all with a tag: sluice set backend web/10.0.0.7:80 state drain; sluice set tag east state maintenance for 30m",
    )
    .argument("<what>", '"backend" or "tag" (a place is the tag of its name)')
    .argument("<name>", "SERVICE/BACKEND as status shows it, or the tag")
    .argument("<words...>", "state ready|drain|maintenance, weight 0..65535, for TIME (30m, 12h)")
    .option("--service <name>", "with a tag: only backends of this service")
    .option(...instanceOption)
    .option("--json", "which backends were meant and what holds of them, as JSON (sluice.set/v1)")
    .action(async (what: string, name: string, words: string[], options: Options) => {
      const { instance, service, json } = options;
      const wish = wishOf(words);
      const reached = await orExit(
        what === "tag"
          ? await tellDaemon(instance, `/v1/tags/${encodeURIComponent(name)}`, { ...wish, service })
          : await tellDaemon(instance, pathOf(what, name), wish),
        2,
      );
      const { backends } = (await reached.json()) as { backends: string[] };
      const { admin: state = null, weight = null, for: time = null } = wish;
      if (json) await print(JSON.stringify({ schema: "sluice.set/v1", backends, state, weight, for: time }, null, 2));
      const until = wish.for === undefined ? `until ${END}` : "then what the file says holds";
      for (const backend of backends) console.error(`${backend}: ${words.join(" ")} (${until})`);
    });
}

function pathOf(what: string, name: string): string {
  if (what !== "backend") usage(`"${what}" cannot be set; one of: backend, tag`, what, ["backend", "tag"]);
  const slash = name.indexOf("/");
  if (slash < 0) usage(`"${name}" lacks the service: write SERVICE/BACKEND`);
  const [service, backend] = [name.slice(0, slash), name.slice(slash + 1)].map(encodeURIComponent);
  return `/v1/services/${service}/backends/${backend}`;
}
