/** What documents say of defaults is what the schema has. */
import { expect, test } from "bun:test";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { catalog } from "../../src/catalog.ts";
import { defaults, defaultsDocument, written } from "./defaults.ts";

const root = join(import.meta.dirname, "../..");
const documents = globSync(["*.md", "{docs,examples,src,contrib}/**/*.md"], { cwd: root }).sort();
const textOf = (file: string): string => readFileSync(join(root, file), "utf8");
const all = defaults();

/** The reference of defaults. `UPDATE_DOCS=1` writes it. */
test("docs/defaults.md is what the schema says", () => {
  const path = join(root, "docs/defaults.md");
  if (process.env.UPDATE_DOCS) writeFileSync(path, defaultsDocument());
  expect(readFileSync(path, "utf8")).toBe(defaultsDocument());
});

/** The defaults of the keys whose path ends like this, in the room of a method where the document is in one. */
function valuesOf(key: string, file: string): string[] {
  const method = catalog.methods.find(({ name }) => file.startsWith(`src/methods/${name}/`))?.name;
  if (key === "scheduler")
    return catalog.methods.flatMap(({ name, traits }) => (!method || name === method ? traits.defaultScheduler : []));
  const fits = [...all].filter(([path]) => path === key || path.endsWith(`.${key}`));
  const own = fits.filter(([path]) => method !== undefined && path.split(".").includes(method));
  return (own.length > 0 ? own : fits).map(([, value]) => written(value));
}

/** What a document says: a row of a table with the columns `key` and `default`, or `word (default)` behind `key:`, the last one before it. */
function* saidIn(file: string): Generator<[key: string, value: string]> {
  if (file === "docs/defaults.md") return;
  let inTable = false;
  for (const line of textOf(file).split("\n")) {
    inTable = /^\| key +\| default /.test(line) || (inTable && line.startsWith("|"));
    const row = inTable && /^\| `([\w.]+)` +\| ([^|]+?) +\|/.exec(line);
    if (row) yield [row[1]!, row[2]!];
    const word = /([\w-]+)`? \(default\)/.exec(line);
    if (word) yield [[...line.slice(0, word.index + 1).matchAll(/(\w+): /g)].at(-1)?.[1] ?? line, word[1]!];
  }
}

test("every default that a document names is the one that holds", () => {
  const said = documents.flatMap((file) => [...saidIn(file)].map(([key, value]) => ({ file, key, value })));
  for (const { file, key, value } of said) {
    const values = valuesOf(key, file);
    // What hangs on the host or on other keys has no value in the schema, and is told in words.
    if (values.length === 0) expect([file, key, value]).toEqual([file, key, expect.stringContaining(" ")]);
    else expect([file, key, values]).toEqual([file, key, expect.arrayContaining([value])]);
  }
  expect(said.map(({ key }) => key)).toEqual(
    expect.arrayContaining(["limits.head", "timeouts.read", "scheduler", "xdp"]),
  );
});

/** Keys of examples that stand in one document with every one of their defaults. */
test("the values of redirect's mirrors, which its document shows, are the defaults", () => {
  const block = /mirrors: # \{\} is enough\n([\s\S]*?)```/.exec(textOf("src/methods/redirect/README.md"))![1]!;
  const shown = [...block.matchAll(/^ +(\w+): (\d\w*)$/gm)].map(([, key, value]) => [key!, value!]);
  const held = [...all].filter(([path]) => path.startsWith("services.NAME.redirect.mirrors."));
  expect(shown.sort()).toEqual(held.map(([path, value]) => [path.split(".").at(-1)!, written(value)]).sort());
});
