import type { Command } from "commander";
import { closestWord } from "../core/words.ts";

/**
 * Has `help` of a program, and of each command with others below it, say which word it does not know: Commander's own
 * ends without one.
 *
 * @param program all its commands are there
 */
export function registerHelp(program: Command): void {
  if (program.commands.length === 0) return;
  for (const command of program.commands) registerHelp(command);
  program
    .helpCommand(false)
    .command("help [command...]")
    .description("say how a command is used")
    .action((words: string[]) => commandAt(program, words).help());
}

/** The command that these words call, below another; wrong usage of that where there is none. */
function commandAt(command: Command, words: readonly string[]): Command {
  const [word, ...rest] = words;
  if (word === undefined) return command;
  const found = command.commands.find((below) => below.name() === word || below.aliases().includes(word));
  if (found) return commandAt(found, rest);
  const closest = closestWord(
    word,
    command.commands.flatMap((below) => [below.name(), ...below.aliases()]),
  );
  return command.error(`error: unknown command '${word}'${closest ? `\n(Did you mean ${closest}?)` : ""}`);
}
