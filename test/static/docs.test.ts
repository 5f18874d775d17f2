import { expect, test } from "bun:test";
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { catalog } from "../../src/catalog.ts";
import { registerCommands } from "../../src/cli/commands.ts";
import { parseConfig } from "../../src/config/parse.ts";
import { options } from "../../src/methods/proxy/options.ts";
import { refusals } from "../../src/protocols/http/refusal.ts";
import { codesDocument } from "./codes.ts";

const root = join(import.meta.dirname, "../..");

/** The reference of codes, from the lists that the code itself uses. `UPDATE_DOCS=1` writes it. */
test("docs/codes.md is what the code says", () => {
  const path = join(root, "docs/codes.md");
  const text = codesDocument();
  if (process.env.UPDATE_DOCS) writeFileSync(path, text);
  expect(existsSync(path) && readFileSync(path, "utf8")).toBe(text);
});

test("docs/refusals.md has a line for each refusal, and none for what is not refused", () => {
  const text = readFileSync(join(root, "docs/refusals.md"), "utf8");
  const lines = [...text.matchAll(/^\| (\d{3}) \| ([^|]+) \| \[`(\w+)`\]\(codes\.md#(\w+)\) \| [^|]{20,} \|$/gm)];
  for (const [, , , code, anchor] of lines) expect(anchor).toBe(code!.toLowerCase());
  const said = lines.map(([, status, why, code]) => `${status} ${why} ${code}`).sort();
  expect(said).toEqual(refusals.map(({ status, why, code }) => `${status} ${why} ${code}`).sort());
});

test("docs/refusals.md names each limit and time-out of proxy with its default", () => {
  const text = readFileSync(join(root, "docs/refusals.md"), "utf8");
  const { limits, timeouts } = options.parse({});
  const bytes: Record<number, string> = { [16 * 1024]: "16KiB", [8 * 1024]: "8KiB", [64 * 1024]: "64KiB" };
  const shown = (value: number): string => bytes[value] ?? (value === 10 * 2 ** 30 ? "10GiB" : String(value));
  for (const name of ["head", "fields", "target", "requests", "body", "response"] as const)
    expect(text).toContain(`| \`limits.${name}\` | ${shown(limits[name])} |`);
  for (const name of ["connections", "perAddress"]) expect(text).toContain(`| \`limits.${name}\` | `);
  for (const name of ["head", "body", "idle", "stall", "response", "read"] as const)
    expect(text).toContain(`| \`timeouts.${name}\` | ${timeouts[name] / 1000}s |`);
});

test("links of the documents lead to files that are there", () => {
  for (const file of [
    "README.md",
    "CONTRIBUTING.md",
    "docs/status.md",
    "docs/codes.md",
    "docs/defaults.md",
    "docs/refusals.md",
  ]) {
    const text = readFileSync(join(root, file), "utf8");
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g))
      expect(`${file}: ${target} ${existsSync(join(root, file, "..", target!))}`).toBe(`${file}: ${target} true`);
  }
});

test("the README names every bench, and none that is not there", () => {
  const [list] = /`npm run bench -- NAME`, NAME being ([^:]+):/.exec(readFileSync(join(root, "README.md"), "utf8"))!;
  const named = [...list!.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name!);
  const { stdout } = Bun.spawnSync([process.execPath, join(root, "bench/run.ts")]);
  const there = [...stdout.toString().matchAll(/^([a-z-]+) /gm)].map(([, name]) => name!);
  expect(there.length).toBeGreaterThan(10);
  expect(named.sort()).toEqual(there.sort());
});

const documents = globSync(["*.md", "{docs,examples,src,contrib}/**/*.md"], { cwd: root }).sort();

test("every configuration in a document is valid", () => {
  let seen = 0;
  for (const file of documents)
    for (const [, block] of readFileSync(join(root, file), "utf8").matchAll(/```yaml\n([\s\S]*?)```/g)) {
      if (!/^services:/m.test(block!)) continue;
      const text = /^version:/m.test(block!) ? block! : `version: 1\n${block}`;
      expect([file, parseConfig(file, text, catalog).problems]).toEqual([file, []]);
      seen++;
    }
  expect(seen).toBeGreaterThan(3);
});

/** Command lines in fences, indented blocks and backticks: the words after `sluice`. */
function* commandLines(text: string): Generator<string[]> {
  for (const [, line] of text.matchAll(/(?:^ {4}|^|`)(?:bin\/)?sluice ((?:[a-z]|--)[^`#\n]*)/gm))
    yield line!.trim().split(/\s+/);
}

test("every command in a document exists, with its flags", async () => {
  const program = new Command("sluice");
  await registerCommands(program);
  const find = (all: Command, word?: string): Command | undefined =>
    all.commands.find((one) => word !== undefined && (one.name() === word || one.aliases().includes(word)));
  let seen = 0;
  for (const file of documents)
    for (const words of commandLines(readFileSync(join(root, file), "utf8"))) {
      const command = find(program, words[0]);
      expect([file, words.join(" "), command !== undefined]).toEqual([file, words.join(" "), true]);
      const inner = find(command!, words[1]?.split("|")[0]) ?? command!;
      const end = words.indexOf("--");
      const flags = words.slice(0, end < 0 ? undefined : end).filter((word) => /^--[a-z]/.test(word));
      const unknown = flags
        .map((flag) => flag.split("=")[0]!)
        .filter((flag) => !inner.options.some((o) => o.long === flag));
      expect([file, words.join(" "), unknown]).toEqual([file, words.join(" "), []]);
      seen++;
    }
  expect(seen).toBeGreaterThan(30);
});
