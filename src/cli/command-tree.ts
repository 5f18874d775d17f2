import type { Command, Option } from "commander";

/** A command of the product as completion and the manual need it. */
export interface Described {
  /** Words after `sluice`: `lab up`. */
  path: string;
  aliases: string[];
  summary: string;
  /** `[options] <service>`. */
  usage: string;
  options: {
    flags: string;
    words: string[];
    about: string;
    choices: readonly string[];
    takesValue: boolean;
    takesFile: boolean;
  }[];
  /** The commands below it. */
  below: Described[];
}

function optionOf(option: Option): Described["options"][number] {
  const standard = option.defaultValue === undefined ? "" : ` (default: ${JSON.stringify(option.defaultValue)})`;
  return {
    flags: option.flags,
    words: [option.short, option.long].filter((word) => word !== undefined && word !== null),
    about: `${option.description}${standard}`,
    choices: option.argChoices ?? [],
    takesValue: option.required || option.optional,
    takesFile: option.flags.includes("<file>"),
  };
}

/** Reads the commands off the program, so that nothing is written down a second time. */
export function describe(command: Command, path = ""): Described {
  const help = command.createHelp();
  return {
    path,
    aliases: command.aliases(),
    summary: command.description(),
    usage: command.usage(),
    options: help.visibleOptions(command).map(optionOf),
    below: help.visibleCommands(command).map((sub) => describe(sub, `${path} ${sub.name()}`.trim())),
  };
}

/** The command and all below it. */
export const flatten = (command: Described): Described[] => [command, ...command.below.flatMap(flatten)];
