/** `bun run bench NAME [--json]`: runs `bench/NAME.ts`. Table or JSON on stdout, progress on stderr. */
import { readdirSync } from "node:fs";
import { closestWord } from "../src/core/words.ts";
import { type Bench, report, reportText } from "./lib.ts";

const names = readdirSync(import.meta.dirname)
  .filter((file) => /^[a-z-]+\.ts$/.test(file) && file !== "run.ts" && file !== "lib.ts")
  .map((file) => file.slice(0, -3))
  .sort();

const load = async (name: string): Promise<Bench> => (await import(`./${name}.ts`)).default;

async function main(args: string[]): Promise<number> {
  const flags = args.filter((arg) => arg.startsWith("-"));
  const [name, ...rest] = args.filter((arg) => !arg.startsWith("-"));
  const wrong = flags.find((flag) => flag !== "--json") ?? rest[0];
  if (wrong !== undefined) return usage(`${wrong}: not known; usage: bun run bench NAME [--json]`);
  if (name === undefined) {
    for (const each of names) console.log(`${each.padEnd(14)} ${(await load(each)).summary}`);
    return 0;
  }
  if (!names.includes(name)) {
    const closest = closestWord(name, names);
    return usage(`no bench ${name}${closest ? `; did you mean ${closest}?` : ""}; there are: ${names.join(", ")}`);
  }
  const { rows, versions } = await (await load(name)).run((line) => console.error(line));
  const result = report(name, rows, versions);
  console.log(flags.includes("--json") ? JSON.stringify(result) : reportText(result));
  return 0;
}

function usage(line: string): number {
  console.error(line);
  return 2;
}

process.exitCode = await main(process.argv.slice(2));
