import { expect, test } from "bun:test";
import { Command } from "commander";
import { registerCommands } from "./commands.ts";

/** The commands that are there when the first word is this one. */
async function registered(word?: string): Promise<string[]> {
  const program = new Command("sluice");
  await registerCommands(program, word);
  return program.commands.map((command) => command.name());
}

test("a word that calls a command brings that command alone", async () => {
  expect(await registered("status")).toEqual(["status"]);
  expect(await registered("validate")).toEqual(["check"]);
  expect(await registered("demote")).toEqual(["promote", "demote"]);
});

test("every command is called by its own name and its other ones", async () => {
  const program = new Command("sluice");
  await registerCommands(program);
  expect(new Set(program.commands.map((command) => command.name())).size).toBe(program.commands.length);
  for (const command of program.commands)
    for (const word of [command.name(), ...command.aliases()]) expect(await registered(word)).toContain(command.name());
});

test("all commands are there for other words, for none, and where a command tells of all", async () => {
  const all = await registered();
  expect(all.length).toBeGreaterThan(25);
  for (const word of ["--help", "help", "stauts", "toString", "man", "completion"])
    expect(await registered(word)).toEqual(all);
});
