import { expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { run } from "../runtime/child.ts";
import { instancePaths } from "../system/instance.ts";
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
    [["set", "backend", "a/b", "state", "drian"], 'one of: ready, drain, maintenance; did you mean "drain"?'],
    [["set", "backend", "a/b", "wieght", "3"], 'one of: state, weight, for; did you mean "weight"?'],
    [["set", "backand", "a/b", "weight", "3"], 'one of: backend, tag; did you mean "backend"?'],
    [["help", "statsu"], "unknown command 'statsu'\n(Did you mean status?)\n(sluice --help says how it is used)"],
    [["help", "lab", "don"], "unknown command 'don'\n(Did you mean down?)\n(sluice lab --help says how it is used)"],
    [["lab", "help", "don"], "unknown command 'don'\n(Did you mean down?)\n(sluice lab --help says how it is used)"],
    [["help", "status", "x"], "unknown command 'x'\n(sluice status --help says how it is used)"],
  ];
  for (const [words, hint] of cases) {
    const { code, stderr } = await run([process.execPath, main, ...words]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(hint)]);
  }
});

test("options behind a host of a lab are those of the command that runs there", async () => {
  const { code, stderr } = await run([process.execPath, main, "lab", "exec", "none", "host", "ls", "--json", "-l"]);
  expect([code, stderr]).toEqual([2, expect.stringContaining("no lab is called none")]);
});

test("a flow between two families is no flow", async () => {
  const { code, stderr } = await run([process.execPath, main, "explain", "--from", "[::1]:5", "--to", "10.0.0.1:80"]);
  expect([code, stderr]).toEqual([2, expect.stringContaining("two families")]);
});

test("what the host refuses is a sentence, not a stack", async () => {
  const instance = instancePaths(`usage-${process.pid}`);
  mkdirSync(instance.runDir, { recursive: true });
  for (const journal of ["{", "null", '{ "version": 9 }']) {
    writeFileSync(instance.journal, journal);
    const { code, stderr } = await run([process.execPath, main, "down", "--instance", instance.name]);
    expect([code, stderr.split("\n")]).toEqual([
      4,
      [expect.stringContaining(`${instance.journal} cannot be read`), expect.stringContaining("by hand"), ""],
    ]);
  }
  rmSync(instance.runDir, { recursive: true });
});

test("a lab's name is no path", async () => {
  for (const words of [
    ["up", "nat", "--network-only", "--name", "../../up"],
    ["up", "nat", "--network-only", "--name", "Upper"],
    ["down", "../x"],
    ["exec", "..", "a"],
  ])
    expect((await run([process.execPath, main, "lab", ...words])).stderr).toContain("small letters, digits and dashes");
});

const notRoot = process.getuid?.() !== 0;

/** What a command says to who is not root; the modules that it takes are read as root, whose folders may be closed. */
async function asNobody(words: string[], modules: string[]): Promise<[number, string]> {
  const program = `
    const { dropPrivileges } = await import("${import.meta.dirname}/../runtime/privileges.ts");
    for (const path of ${JSON.stringify(modules)}) await import("${import.meta.dirname}/" + path);
    dropPrivileges();
    // Of what is evaluated, Commander takes the second word for the first argument.
    process.argv = ["", ...${JSON.stringify(words)}];
    await import("${main}");`;
  const { code, stderr } = await run([process.execPath, "--no-env-file", "-e", program]);
  return [code, stderr];
}

test.skipIf(notRoot)("a lab that only root may build says so", async () => {
  const [code, stderr] = await asNobody(["lab", "up", "nat", "--network-only"], ["lab.ts"]);
  expect([code, stderr.trimEnd().split("\n").at(-1)]).toEqual([4, expect.stringContaining("root is needed")]);
});

test.skipIf(notRoot).each(["down", "flows", "trace"])(
  "%s of an instance that is root's is not taken for one that is not there",
  async (word) => {
    const { name, runDir } = instancePaths(`usage-${process.pid}`);
    mkdirSync(runDir, { recursive: true });
    const said = await asNobody([word, "--instance", name], [`${word}.ts`]);
    rmSync(runDir, { recursive: true });
    expect(said).toEqual([3, expect.stringContaining(`instance "${name}" belongs to root`)]);
  },
);
