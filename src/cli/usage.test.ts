import { expect, test } from "bun:test";
import { join } from "node:path";
import { Command } from "commander";
import { run } from "../runtime/child.ts";
import { flatten, describe as read } from "./command-tree.ts";
import { registerCommands } from "./commands.ts";

const main = join(import.meta.dirname, "main.ts");

test("all commands tell what they do in the same form: a phrase in small letters, without a full stop", async () => {
  const program = new Command("sluice");
  await registerCommands(program);
  const inner = flatten(read(program)).filter(({ path }) => path !== "");
  const otherwise = inner.filter(({ summary }) => !/^[a-z].*[^.]$/.test(summary)).map(({ path }) => path);
  expect(otherwise).toEqual([]);
});

test("wrong usage names the help of the command that was typed, and ends with 2", async () => {
  const cases: [string[], string][] = [
    [["set", "backend"], "(sluice set --help says how it is used)"],
    [["lab", "up"], "(sluice lab up --help says how it is used)"],
    [["statsu"], "(Did you mean status?)\n(sluice --help says how it is used)"],
  ];
  for (const [words, hint] of cases) {
    const { code, stderr } = await run([process.execPath, main, ...words]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(hint)]);
  }
});
