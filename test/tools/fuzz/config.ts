import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { catalog } from "../../../src/catalog.ts";
import { parseConfig } from "../../../src/config/parse.ts";
import { checkReport } from "../../../src/config/report.ts";
import { codes } from "../../../src/core/codes.ts";
import { below, damage, eachInput, Fault, type FuzzTarget, oneOf, type Random } from "./target.ts";

const golden = join(import.meta.dirname, "../../golden/config");
/** The configurations of the golden files: good ones, and one for each thing that can be wrong. */
const seeds = readdirSync(golden)
  .filter((name) => name.endsWith(".golden"))
  .map((name) => readFileSync(join(golden, name), "utf8").split("\n----------\n", 1)[0]!);

const words = [
  "\n",
  "  ",
  ":",
  "- ",
  "[",
  "]",
  "{",
  "}",
  "&a ",
  "*a",
  "!!str ",
  "|",
  "#",
  '"',
  "'",
  "\t",
  "null",
  "-1",
  "1e999",
  "true",
  "<<: *a\n",
  "__proto__: x\n",
  "\u0000",
  "\ud800",
  "version: 1\n",
  "services:\n",
  "method: dns\n",
  "listen: [[::1]:80]",
  "0x10",
  "99999999999999999999",
  "? ",
  "---\n",
] as const;

function make(random: Random): Buffer {
  const lines = oneOf(random, seeds).split("\n");
  for (let i = below(random, 3); i > 0; i--) {
    const at = below(random, lines.length);
    if (random() < 0.5) lines.splice(at, 1);
    else lines.splice(at, 0, oneOf(random, lines));
  }
  return Buffer.from(damage(lines.join("\n"), below(random, 4), words, random), "utf8");
}

function judge(input: Buffer): string {
  const text = input.toString("utf8");
  const loaded = parseConfig("sluice.yaml", text, catalog);
  const errors = loaded.problems.filter(({ severity }) => severity === "error");
  if (loaded.ok !== (errors.length === 0)) throw new Fault(`${errors.length} errors, but ok is ${loaded.ok}`);
  const lines = text.split("\n").length;
  for (const { code, place, message } of loaded.problems) {
    if (!(code in codes)) throw new Fault(`${code} is no code`);
    if (code === "SLUICE_INTERNAL") throw new Fault(`internal: ${message}`);
    if (
      place === undefined ||
      place.line < 1 ||
      place.line > lines ||
      place.column < 1 ||
      place.endColumn <= place.column
    )
      throw new Fault(`${code} has its place at ${JSON.stringify(place)} of ${lines} lines`);
  }
  const said = checkReport(loaded, { json: false, color: false, github: false });
  if (/undefined|\[object |NaN/.test(said) && !/undefined|\[object |NaN/.test(text)) throw new Fault(`says ${said}`);
  const shapes = [...new Set(loaded.problems.map(({ code }) => code))].sort();
  return `${loaded.ok ? "taken" : "refused"}: ${shapes.join(" ") || "no problem"}`;
}

export const config: FuzzTarget = {
  summary: "configurations in YAML: taken or refused with codes and places inside the file; what is said is whole",
  run: eachInput(make, judge),
};
