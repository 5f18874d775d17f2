import { codes } from "../core/codes.ts";
import type { Place, Problem } from "../core/problem.ts";
import { pathText } from "./issues.ts";
import type { SourceText } from "./source-text.ts";
import { excerpt, paint, plain } from "./terminal.ts";

/** Some words are easier to read in a list than all of them. */
const MAX_WORDS = 24;

/** Problems that are shown as text; `--json` has them all. */
const MAX_SHOWN = 100;

export interface DiagnoseOptions {
  color: boolean;
  /** The state that things are in, one clause: `nothing was changed; the running configuration stays (revision 41)`. */
  state: string;
}

/** All problems as text, in the order given, and a closing sentence. Ends with a newline; empty without problems. */
export function diagnose(problems: readonly Problem[], source: SourceText, options: DiagnoseOptions): string {
  if (problems.length === 0) return "";
  const shown = problems.slice(0, MAX_SHOWN).map((p) => problemText(p, source, options.color));
  if (problems.length > MAX_SHOWN) shown.push(`and ${problems.length - MAX_SHOWN} more\n`);
  return `${shown.join("")}${closing(problems, source.file, options.state)}\n`;
}

function problemText(problem: Problem, source: SourceText, color: boolean): string {
  const { place, severity } = problem;
  const tone = severity === "error" ? "red" : "yellow";
  const path = pathText(problem.path);
  const head = [place ? placeText(place) : plain(source.file), path === "" ? "" : `  ${plain(path)}`, "  "].join("");
  const lines = [`${paint(head.trimEnd(), "bold", color)}  ${paint(severity, tone, color)} ${problem.code}`];
  const words = message(problem);
  const pointed = place && hasPosition(place) && place.file === source.file ? excerpt(source, place) : null;
  if (pointed) {
    lines.push(pointed.line, `${pointed.margin}${paint(pointed.carets, tone, color)} ${words}`);
    for (const text of details(problem)) lines.push(`${pointed.margin}${" ".repeat(pointed.carets.length)} ${text}`);
  } else lines.push(`     | ${words}`, ...details(problem).map((text) => `     | ${text}`));
  for (const other of problem.also ?? []) lines.push(...alsoLines(other, source, place));
  return `${lines.join("\n")}\n`;
}

/** `a.yaml:3:5`; only the file where a program made the value. */
const placeText = (place: Place): string =>
  plain(hasPosition(place) ? `${place.file}:${place.line}:${place.column}` : place.file);

const hasPosition = (place: Place): boolean => place.endColumn > place.column;

const message = (problem: Problem): string => {
  const text = plain(problem.message);
  return problem.closest ? `${text} Did you mean ${plain(JSON.stringify(problem.closest))}?` : text;
};

function details({ valid, hint }: Problem): string[] {
  const lines: string[] = [];
  if (valid?.length) {
    const rest = valid.length - MAX_WORDS;
    lines.push(`one of: ${plain(valid.slice(0, MAX_WORDS).join(", "))}${rest > 0 ? ` and ${rest} more` : ""}`);
  }
  if (hint) lines.push(plain(hint));
  return lines;
}

function alsoLines(other: { place: Place; message: string }, source: SourceText, first?: Place): string[] {
  if (!hasPosition(other.place)) return [];
  const where = other.place.file === first?.file ? "" : `${other.place.file}:`;
  const pointed = excerpt(source, other.place);
  return [pointed.line, `${pointed.margin}${pointed.carets} ${plain(where + other.message)}`];
}

const count = (n: number, word: string): string => `${n} ${word}${n === 1 ? "" : "s"}`;

function closing(problems: readonly Problem[], file: string, state: string): string {
  const errors = problems.filter((p) => p.severity === "error").length;
  const warnings = problems.length - errors;
  const counts = [errors ? count(errors, "error") : "", warnings ? count(warnings, "warning") : ""].filter(Boolean);
  return `${counts.join(", ")} in ${plain(file)} — ${state}.`;
}

/** One entry of `--json`. */
export interface ProblemJson {
  file: string;
  line: number | null;
  column: number | null;
  endColumn: number | null;
  path: string;
  severity: "error" | "warning";
  code: string;
  message: string;
  hint: string;
  closest?: string;
  valid?: readonly string[];
  also?: { file: string; line: number; column: number; message: string }[];
}

/** Problems as plain data; positions are null where a program made the value. */
export function problemsJson(problems: readonly Problem[], file: string): ProblemJson[] {
  return problems.map(({ place, path, severity, code, message: text, hint, closest, valid, also }) => {
    const at = place && hasPosition(place) ? place : null;
    return {
      file: place?.file ?? file,
      line: at?.line ?? null,
      column: at?.column ?? null,
      endColumn: at?.endColumn ?? null,
      path: pathText(path),
      severity,
      code,
      message: text,
      hint: hint ?? codes[code][1],
      ...(closest ? { closest } : {}),
      ...(valid ? { valid } : {}),
      ...(also
        ? {
            also: also.map((o) => ({
              file: o.place.file,
              line: o.place.line,
              column: o.place.column,
              message: o.message,
            })),
          }
        : {}),
    };
  });
}

const escapeData = (text: string): string => text.replace(/%/g, "%25").replace(/\r/g, "%0D").replace(/\n/g, "%0A");
const escapeProperty = (text: string): string => escapeData(text).replace(/:/g, "%3A").replace(/,/g, "%2C");

/** Problems as annotations of GitHub's workflow commands, a line each. */
export function annotations(problems: readonly Problem[], file: string): string {
  return problems
    .map((problem) => {
      const { place, severity, code } = problem;
      const position =
        place && hasPosition(place) ? `,line=${place.line},col=${place.column},endColumn=${place.endColumn}` : "";
      const text = [message(problem), ...details(problem)].join("\n");
      return `::${severity} file=${escapeProperty(place?.file ?? file)}${position},title=${code}::${escapeData(text)}\n`;
    })
    .join("");
}
