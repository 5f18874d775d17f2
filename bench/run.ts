/**
 * `bun run bench NAME [CASE…] [--json] [--seconds=N]`: runs `bench/NAME.ts`. Table or JSON on stdout, progress on
 * stderr. `--seconds`: how long one server is measured at a time.
 */
import { readdirSync } from "node:fs";
import { closestWord } from "../src/core/words.ts";
import { type Bench, report, reportText } from "./lib.ts";

const names = readdirSync(import.meta.dirname)
  .filter((file) => /^[a-z-]+\.ts$/.test(file) && file !== "run.ts" && file !== "lib.ts")
  .map((file) => file.slice(0, -3))
  .sort();

const USAGE = "bun run bench NAME [CASE…] [--json] [--seconds=N]";
const SECONDS = 3;

const load = async (name: string): Promise<Bench> => (await import(`./${name}.ts`)).default;

async function main(args: string[]): Promise<number> {
  const flags = args.filter((arg) => arg.startsWith("-"));
  const [name, ...rest] = args.filter((arg) => !arg.startsWith("-"));
  const seconds = Number(/^--seconds=(\d{1,3})$/.exec(flags.find((flag) => flag !== "--json") ?? "")?.[1] ?? SECONDS);
  const wrong = flags.find((flag) => flag !== "--json" && flag !== `--seconds=${seconds}`);
  if (wrong !== undefined) return usage(`${wrong}: not known; usage: ${USAGE}`);
  if (name === undefined) {
    for (const each of names) console.log(`${each.padEnd(14)} ${(await load(each)).summary}`);
    return 0;
  }
  if (!names.includes(name)) return usage(unknown("bench", name, names));
  const bench = await load(name);
  const other = rest.find((word) => !bench.cases?.includes(word));
  if (other !== undefined) return usage(unknown(`case of ${name}`, other, bench.cases ?? []));
  const { rows, versions } = await bench.run((line) => console.error(line), { only: rest, seconds });
  const result = report(name, rows, versions);
  console.log(flags.includes("--json") ? JSON.stringify(result) : reportText(result));
  return 0;
}

function unknown(what: string, word: string, known: readonly string[]): string {
  const closest = closestWord(word, known);
  return `no ${what} ${word}${closest ? `; did you mean ${closest}?` : ""}; there are: ${known.join(", ") || "none"}`;
}

function usage(line: string): number {
  console.error(line);
  return 2;
}

process.exitCode = await main(process.argv.slice(2));
