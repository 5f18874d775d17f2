import { describe, expect, test } from "bun:test";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { catalog } from "../catalog.ts";
import { parseConfig } from "./parse.ts";
import { checkReport } from "./report.ts";
import { toWritten } from "./written.ts";

const root = join(import.meta.dirname, "../..");

describe("every example", () => {
  for (const file of globSync("examples/**/*.{yaml,yml,json}", { cwd: root }).sort())
    test(`${file} is valid without a warning, and so is its adapted form`, () => {
      const loaded = parseConfig(file, readFileSync(join(root, file), "utf8"), catalog);
      expect(checkReport(loaded, { json: false, color: false, github: false })).toStartWith(`${file} is valid`);
      if (!loaded.ok) return;
      const again = parseConfig(file, JSON.stringify(toWritten(loaded.value, loaded.raw, catalog)), catalog);
      expect(again.ok && again.value).toEqual(loaded.value);
    });
});

/** Changing the method of a service is changing one word. */
describe("one file under all six methods", () => {
  const text = readFileSync(join(root, "test/golden/config/valid-one-word-changed-to-nat.golden"), "utf8").split(
    "\n---",
  )[0]!;
  for (const { name } of catalog.methods)
    test(name, () =>
      expect(parseConfig("sluice.yaml", text.replace("method: nat", `method: ${name}`), catalog).problems).toEqual([]),
    );
});
