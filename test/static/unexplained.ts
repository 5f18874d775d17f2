/** Maps and constants of BPF programs that nobody explains: each says its unit and why it is what it is. */

const isMap = (line: string): boolean => /^(ARRAY|PERCPU)\(|^\S.*\bSEC\("\.(maps|data\.\w+)"\)/.test(line);
/** A macro without arguments that stands for something; guards and options of headers stand for nothing. */
const isConstant = (line: string): boolean => /^#define \w+ \S/.test(line);
const hasComment = (line: string): boolean => line.includes("/*") || line.includes("*/");

/** Where what ends at this line begins: a map may be a struct of several lines. */
function beginning(lines: readonly string[], at: number): number {
  if (!lines[at]!.startsWith("}")) return at;
  const begin = lines.slice(0, at).lastIndexOf("struct {");
  return begin < 0 ? at : begin;
}

/** Is there a comment on the line or right before it? One before constants that stand together is for all of them. */
function isExplained(lines: readonly string[], at: number): boolean {
  if (hasComment(lines[at]!)) return true;
  const before = lines[beginning(lines, at) - 1] ?? "";
  return isConstant(lines[at]!) && isConstant(before) ? isExplained(lines, at - 1) : hasComment(before);
}

/** An enumerator of sizes: it, or the one before it that it goes with, has a comment. */
function unexplainedLimits(lines: readonly string[]): number[] {
  const first = lines.indexOf("enum sluice_limit {");
  if (first < 0) return [];
  const last = lines.indexOf("};", first);
  return lines
    .map((_, at) => at)
    .filter((at) => at > first && at < last && / = /.test(lines[at]!) && !hasComment(lines[at - 1]!));
}

/** Lines of a C file, from 1 on, with a map or constant that has no comment. */
export function unexplained(text: string): number[] {
  const lines = text.split("\n");
  const found = lines.map((_, at) => at).filter((at) => isMap(lines[at]!) || isConstant(lines[at]!));
  const silent = [...found.filter((at) => !isExplained(lines, at)), ...unexplainedLimits(lines)];
  return silent.map((at) => at + 1).sort((a, b) => a - b);
}
