import { expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { codes } from "../../src/core/codes.ts";

const root = join(import.meta.dirname, "../..");

/** The reference of codes, from the one list that the code itself uses. `UPDATE_DOCS=1` writes it. */
test("docs/codes.md is what src/core/codes.ts says", () => {
  const rows = Object.entries(codes).map(([code, [sentence, hint]]) => `| \`${code}\` | ${sentence} | ${hint} |`);
  const text = [
    "# Codes",
    "",
    "Everything that can happen has a stable name: in messages, logs, metrics and drop reasons.",
    "",
    "| code | what it means | what to do |",
    "|---|---|---|",
    ...rows,
    "",
  ].join("\n");
  const path = join(root, "docs/codes.md");
  if (process.env.UPDATE_DOCS) writeFileSync(path, text);
  expect(existsSync(path) && readFileSync(path, "utf8")).toBe(text);
});

test("links of the documents lead to files that are there", () => {
  for (const file of ["README.md", "CONTRIBUTING.md", "docs/status.md"]) {
    const text = readFileSync(join(root, file), "utf8");
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g))
      expect(`${file}: ${target} ${existsSync(join(root, file, "..", target!))}`).toBe(`${file}: ${target} true`);
  }
});
