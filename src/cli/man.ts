import type { Command } from "commander";
import { VERSION } from "../core/version.ts";
import { type Described, describe, flatten } from "./command-tree.ts";
import { EXIT } from "./exit.ts";

/** Text as roff takes it: no line begins with a control character, and dashes can be searched for. */
const roff = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/gm, "\\&$1");

const optionLines = ({ flags, about }: Described["options"][number]): string[] => [
  ".TP",
  `.B ${roff(flags)}`,
  roff(about),
];

const commandLines = (command: Described): string[] => [
  `.SS sluice ${roff(`${command.path} ${command.usage}`)}`,
  roff(command.summary),
  ...command.options.flatMap(optionLines),
];

const exits: readonly (readonly [number, string])[] = [
  [EXIT.ok, "it is done"],
  [EXIT.config, "the configuration is refused, or the answer is no"],
  [EXIT.usage, "wrong usage"],
  [EXIT.unreachable, "no daemon answers"],
  [EXIT.kernel, "the kernel refused it"],
  [EXIT.unread, "who read the output left before its end"],
];

const files: readonly (readonly [string, string])[] = [
  ["sluice.yaml, sluice.config.ts", "the configuration where \\fB\\-c\\fR is not given, looked for in this order"],
  ["/run/sluice/NAME", "the admin socket, the state and the journal of an instance"],
  ["/sys/fs/bpf/sluice/NAME", "programs and maps of the packet path of an instance"],
];

const variables: readonly (readonly [string, string])[] = [["NO_COLOR", "colours are left out where it is set"]];

const list = (entries: readonly (readonly [string | number, string])[]): string[] =>
  entries.flatMap(([term, about]) => [".TP", `.B ${term}`, about]);

/** The manual page of a program, section 8, as roff. */
export function manual(program: Described): string {
  const commands = flatten(program).filter(({ path, below }) => path !== "" && below.length === 0);
  return [
    `.TH SLUICE 8 "" "sluice ${roff(VERSION)}" "System administration"`,
    ".SH NAME",
    "sluice \\- one load balancer, six methods: redirect, dns, proxy, nat, direct, tunnel",
    ".SH SYNOPSIS",
    ".B sluice",
    "COMMAND [options]",
    ".SH COMMANDS",
    ...commands.flatMap(commandLines),
    ".SH EXIT STATUS",
    ...list(exits),
    ".SH FILES",
    ...list(files),
    ".SH ENVIRONMENT",
    ...list(variables),
    "",
  ].join("\n");
}

export function registerMan(program: Command): void {
  program
    .command("man")
    .description("print the manual page, for: sluice man | man -l -")
    .action(() => void process.stdout.write(manual(describe(program))));
}
