import { Argument, type Command } from "commander";
import { type Described, describe, flatten } from "./command-tree.ts";

type Script = (program: Described) => string;

/** Names that may follow a command: the commands below it. */
const names = ({ below }: Described): string[] => below.map(({ path }) => path.slice(path.lastIndexOf(" ") + 1));

/** Options whose value is a file, as the pattern of a shell's case. */
function filesAfter(program: Described, pattern: (word: string) => string): string {
  const options = flatten(program).flatMap(({ options }) => options.filter(({ takesFile }) => takesFile));
  const words = [...new Set(options.flatMap(({ words }) => words))];
  return words.length === 0 ? "''" : words.map(pattern).join("|");
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** `path)` cases: what may stand behind a command, and behind an option with choices. */
function bash(program: Described): string {
  const all = flatten(program);
  const cases = all.map((command) => {
    const words = [...names(command), ...command.options.flatMap(({ words }) => words)];
    return `    ${quoted(command.path)}) words=${quoted(words.join(" "))} ;;`;
  });
  const choices = all.flatMap(({ path, options }) =>
    options
      .filter((option) => option.choices.length > 0)
      .map(
        ({ words, choices }) =>
          `    ${words.map((w) => quoted(`${path} ${w}`)).join("|")}) words=${quoted(choices.join(" "))} ;;`,
      ),
  );
  const commands = all.filter(({ path }) => path !== "").map(({ path }) => quoted(path));
  return `# bash completion of sluice: eval "$(sluice completion bash)"
_sluice() {
  local at='' word words='' current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${at:+$at }$word" in
    ${commands.join("|")}) at="\${at:+$at }$word" ;;
    esac
  done
  case "$at" in
${cases.join("\n")}
  esac
  case "$at $before" in
    ${filesAfter(program, (word) => `*' ${word}'`)}) COMPREPLY=($(compgen -f -- "$current")); return ;;
${choices.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _sluice sluice
`;
}

const zshWord = (word: string, about: string): string => quoted(`${word.replaceAll(":", "\\:")}:${about}`);

function zsh(program: Described): string {
  const cases = flatten(program).map((command) => {
    const words = [
      ...command.below.map(({ path, summary }) => zshWord(path.slice(path.lastIndexOf(" ") + 1), summary)),
      ...command.options.flatMap(({ words, about }) => words.map((word) => zshWord(word, about))),
    ];
    return `    ${quoted(command.path)}) found=(${words.join(" ")}) ;;`;
  });
  const commands = flatten(program).filter(({ path }) => path !== "");
  return `#compdef sluice
# zsh completion of sluice: eval "$(sluice completion zsh)"
_sluice() {
  local at='' word
  local -a found
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "\${at:+$at }$word" in
    (${commands.map(({ path }) => quoted(path)).join("|")}) at="\${at:+$at }$word" ;;
    esac
  done
  case "\${words[CURRENT-1]}" in
    (${filesAfter(program, (word) => word)}) _files; return ;;
  esac
  case "$at" in
${cases.join("\n")}
  esac
  _describe sluice found
}
compdef _sluice sluice
`;
}

function fish(program: Described): string {
  const lines = ["# fish completion of sluice: sluice completion fish | source", "complete -c sluice -f"];
  for (const command of flatten(program)) {
    const words = command.path.split(" ").filter(Boolean);
    const inner = names(command);
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`);
    const none = inner.length > 0 ? [`not __fish_seen_subcommand_from ${inner.join(" ")}`] : [];
    const when = quoted([...seen, ...none].join("; and ") || "true");
    for (const { path, summary } of command.below)
      lines.push(`complete -c sluice -n ${when} -a ${path.slice(path.lastIndexOf(" ") + 1)} -d ${quoted(summary)}`);
    for (const { words: flags, about, choices, takesValue, takesFile } of command.options) {
      const named = flags
        .map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
        .join(" ");
      const value =
        choices.length > 0 ? ` -x -a ${quoted(choices.join(" "))}` : takesFile ? " -r -F" : takesValue ? " -x" : "";
      lines.push(`complete -c sluice -n ${when} ${named}${value} -d ${quoted(about)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** Shells that commands, options and their choices can be completed in. */
export const shells: Record<string, Script> = { bash, zsh, fish };

export function registerCompletion(program: Command): void {
  program
    .command("completion")
    .description("print a script that completes commands and options in a shell")
    .addArgument(new Argument("<shell>").choices(Object.keys(shells)))
    .action((shell: string) => void process.stdout.write(shells[shell]!(describe(program))));
}
