import { expect, test } from "bun:test";
import { idleExports } from "./exports.ts";

test("what is exported is named by another file", () => {
  const files = new Map([
    ["src/a.ts", "export const used = 1;\nexport function idle() {}\nexport class Alone {}\nconst inner = used;\n"],
    ["src/b.ts", 'import { used } from "./a.ts";\n'],
    ["src/generated/c.ts", "export const whatever = 1;\n"],
  ]);
  expect(idleExports(files)).toEqual([
    "src/a.ts: exports idle, which no other file names",
    "src/a.ts: exports Alone, which no other file names",
  ]);
});
