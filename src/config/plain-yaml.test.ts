import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { stringify } from "yaml";
import { parseConfigDocument } from "./document.ts";
import { readPlainYaml } from "./plain-yaml.ts";

/** What the quick reader reads, the whole parser reads without a problem and as the same. */
function agree(text: string): void {
  const quick = readPlainYaml(text);
  if (quick === null) return;
  const { value, problems } = parseConfigDocument("a.yaml", text);
  expect({ problems, value: quick.value }, text).toStrictEqual({ problems: [], value });
}

const words = [
  "10.0.0.1:80",
  "[::1]:80",
  "::1",
  "2s",
  "a b",
  "a: b",
  "a #b",
  "",
  "~",
  "null",
  "yes",
  "True",
  "- a",
  "-1",
  "1e3",
];
const numbers = [
  "0x1f",
  "0o7",
  "007",
  "+1",
  "-0",
  "0.10",
  ".5",
  "1_000",
  ".inf",
  "12345678901234567890",
  "1.2.3",
  "5.",
];
const scalar = fc.oneof(
  fc.constantFrom(...words, ...numbers),
  fc.string({ maxLength: 8 }),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
);
const key = fc.oneof(fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/), fc.constantFrom(...words, ...numbers));
const { value: tree } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(key, tie("value"), { maxKeys: 4 }),
  ),
}));
const top = fc.dictionary(key, tree, { maxKeys: 4 });
const written = fc.oneof(
  fc
    .tuple(top, fc.constantFrom(1, 2, 4), fc.boolean())
    .map(([value, indent, indentSeq]) => stringify(value, { indent, indentSeq })),
  fc.tuple(top, fc.constantFrom(0, 1, 2)).map(([value, indent]) => JSON.stringify(value, null, indent)),
  top.map((value) => stringify(value, { collectionStyle: "flow", lineWidth: 0 })),
);

test("any tree that is written out is read alike, or left to the whole parser", () => {
  fc.assert(fc.property(written, agree), { numRuns: 3000 });
});

test("so is any text that has been tampered with", () => {
  const bits = fc.constantFrom(..." \n:-#,[]{}'\"&*!|>?%~0a".split(""), "\n  ", ": ", " #", "- ", "---\n", "\n...");
  const edits = fc.array(fc.tuple(fc.nat(), fc.nat(2), bits), { minLength: 1, maxLength: 4 });
  const tampered = fc.tuple(written, edits).map(([text, list]) =>
    list.reduce((now, [place, cut, bit]) => {
      const at = place % (now.length + 1);
      return now.slice(0, at) + bit + now.slice(at + cut);
    }, text),
  );
  fc.assert(fc.property(tampered, agree), { numRuns: 6000 });
});

test("so are the examples, and plain ones are not left to the whole parser", () => {
  const folder = join(import.meta.dir, "../../examples");
  const files = readdirSync(folder, { recursive: true }).filter((name) => String(name).endsWith(".yaml"));
  expect(files.length).toBeGreaterThan(5);
  for (const name of files) agree(readFileSync(join(folder, String(name)), "utf8"));
  const plain = `# A shop
version: 1
services:
  shop:
    method: proxy   # or nat
    listen: [125.12.12.12:80, "[2001:db8::1]:80"]
    check: { http: /healthz, interval: 2s, rise: 2 }
    backends:
    - 10.0.1.210:8000
    - address: 10.0.1.211:8000
      weight: 2
      tags: [a, 'b c']
    - { address: 10.0.1.212:8000, state: drain }
  other: { method: dns, names: [a.example], backends: [], nearest: true }
`;
  for (const text of [plain, JSON.stringify(parseConfigDocument("a.yaml", plain).value, null, 2)]) {
    expect(readPlainYaml(text)).not.toBeNull();
    agree(text);
  }
});
