/**
 * `bun run fuzz TARGET [--inputs=N] [--seed=S] [--verbose]`: damaged inputs against a parser and its rules. Prints
 * inputs, distinct outcomes, seed; ends with 1 on a fault and shows the input as hex. The same seed finds it again.
 */
import { parseArgs } from "node:util";
import { closestWord } from "../../src/core/words.ts";
import { type FuzzRun, sequence } from "./fuzz/target.ts";
import { targets } from "./fuzz/targets.ts";

/** Inputs between two lines of progress; the sequence of numbers runs on. */
const BATCH = 250_000;

function usage(line: string): number {
  console.error(`${line}\nusage: bun run fuzz TARGET [--inputs=N] [--seed=S] [--verbose]\n`);
  for (const [name, { summary }] of Object.entries(targets)) console.error(`${name.padEnd(14)} ${summary}`);
  return 2;
}

const wholeNumber = (text: string): number | null => (/^\d{1,12}$/.test(text) ? Number(text) : null);

async function fuzz(name: string, inputs: number, seed: number): Promise<FuzzRun> {
  const random = sequence(seed);
  const total: FuzzRun = { outcomes: new Map(), faults: [] };
  for (let done = 0; done < inputs && total.faults.length === 0; done += BATCH) {
    const run = await targets[name]!.run(Math.min(BATCH, inputs - done), random);
    for (const [outcome, count] of run.outcomes)
      total.outcomes.set(outcome, (total.outcomes.get(outcome) ?? 0) + count);
    total.faults.push(...run.faults);
    const memory = Math.round(process.memoryUsage.rss() / 2 ** 20);
    console.error(`${Math.min(done + BATCH, inputs)} of ${inputs}, ${total.outcomes.size} outcomes, ${memory} MiB`);
  }
  return total;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      inputs: { type: "string", default: "1000000" },
      seed: { type: "string", default: "1" },
      verbose: { type: "boolean", default: false },
    },
  });
  const [name = ""] = positionals;
  const [inputs, seed] = [wholeNumber(values.inputs), wholeNumber(values.seed)];
  if (targets[name] === undefined || positionals.length > 1) {
    const closest = closestWord(name, Object.keys(targets));
    return usage(`no target ${JSON.stringify(name)}${closest ? `; did you mean ${closest}?` : ""}`);
  }
  if (inputs === null || seed === null) return usage("--inputs and --seed are whole numbers");
  const missing = targets[name].missing?.() ?? null;
  if (missing !== null) {
    console.error(`${name} cannot be fuzzed here: ${missing}`);
    return 1;
  }
  const { outcomes, faults } = await fuzz(name, inputs, seed);
  const tried = [...outcomes.values()].reduce((sum, count) => sum + count, 0);
  console.log(
    `${name}: ${tried} inputs, ${outcomes.size} distinct outcomes, seed ${seed}, ${outcomes.get("fault") ?? faults.length} faults`,
  );
  if (values.verbose)
    for (const [outcome, count] of [...outcomes].sort((a, b) => b[1] - a[1]))
      console.log(`${String(count).padStart(12)}  ${outcome}`);
  for (const { why, hex } of faults) console.log(`fault: ${why}\n  ${hex}`);
  return faults.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  // parseArgs' own words for an unknown flag.
  process.exitCode = usage(error instanceof Error ? error.message : String(error));
}
