import type { z } from "zod";
import type { Code } from "../core/codes.ts";
import { configProblem, type Path, type Problem } from "../core/problem.ts";
import { closestWord } from "../core/words.ts";
import { keysAt, wordsAt } from "./shape.ts";

type Issue = z.core.$ZodIssue;

const typeWords: Record<string, string> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping (key: value)",
  record: "a mapping (key: value)",
  null: "nothing",
  undefined: "nothing",
};
const typeWord = (type: string): string => typeWords[type] ?? type;

/** What a person would call the value: its text when it is short, else its kind. */
function shown(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string | number, unknown>)[part];
  }
  return value;
}

const article = (word: string): string => (/^[aeiou]/.test(word) ? `an ${word}` : `a ${word}`);
const lastWord = (path: Path): string => String(path.findLast((part) => typeof part === "string") ?? "The file");
/** `listen.0` and `names.1` are spoken of in the singular. */
const noun = (path: Path): string =>
  typeof path.at(-1) === "number" ? lastWord(path).replace(/ies$/, "y").replace(/s$/, "") : lastWord(path);

/** The problems of a failed parse, in plain words. `root` is what was parsed; paths are relative to it. */
export function issuesToProblems(issues: readonly Issue[], schema: z.ZodType, root: unknown): Problem[] {
  const problems = issues.flatMap((issue) => toProblems(issue, [], schema, root));
  // A misspelt key is one mistake, not also a missing one, nor a mapping that lacks something.
  const misspelt = problems.filter((p) => p.code === "SLUICE_CONFIG_KEY" && p.closest);
  const meant = new Set(misspelt.map((p) => pathText([...p.path.slice(0, -1), p.closest!])));
  const parents = new Set(misspelt.map((p) => pathText(p.path.slice(0, -1))));
  const refused = new Set<string>();
  return problems.filter((p) => {
    const path = pathText(p.path);
    if (p.code === "SLUICE_CONFIG_MISSING") return !meant.has(path);
    if (p.code !== "SLUICE_CONFIG_VALUE") return true;
    // One reason per value is enough.
    return !parents.has(path) && !refused.has(path) && refused.add(path);
  });
}

/** `services.web.listen.0`; empty for the whole file. */
export const pathText = (path: Path): string => path.join(".");

function toProblems(issue: Issue, prefix: Path, schema: z.ZodType, root: unknown): Problem[] {
  const path = [...prefix, ...(issue.path as (string | number)[])];
  // A short form has been written out before it was judged: then only the issue knows the value.
  const value = issue.input === undefined ? valueAt(root, path) : issue.input;
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => unknownKey(key, path, keysAt(schema, path)));
    case "invalid_union":
      return bestBranch(issue, path, schema, root);
    case "invalid_value":
      return [
        value === undefined
          ? missing(path, issue.values.map(String))
          : wrongWord(value, path, issue.values.map(String)),
      ];
    case "invalid_type":
      if (value === undefined) return [missing(path, wordsAt(schema, path))];
      return [wrongType(issue, path, value)];
    case "invalid_key":
      return [invalidKey(path)];
    case "too_small":
    case "too_big":
      return [outOfRange(issue, path, value)];
    case "invalid_format":
      return [configProblem("SLUICE_CONFIG_VALUE", path, formatRefusal(issue, value, noun(path)))];
    case "custom":
      return [configProblem(codeOf(issue), path, customText(issue.message, value, noun(path)))];
    default:
      return [configProblem("SLUICE_CONFIG_VALUE", path, `${shown(value)} is not ${article(noun(path))}.`)];
  }
}

/** A schema's own refusal may name its code. */
const codeOf = ({ params }: Extract<Issue, { code: "custom" }>): Code =>
  (params as { code?: Code } | undefined)?.code ?? "SLUICE_CONFIG_VALUE";

function formatRefusal(issue: Extract<Issue, { code: "invalid_format" }>, value: unknown, what: string): string {
  const affix = issue as { prefix?: string; suffix?: string };
  if (affix.prefix !== undefined) return `${shown(value)} must begin with ${JSON.stringify(affix.prefix)}.`;
  if (affix.suffix !== undefined) return `${shown(value)} must end with ${JSON.stringify(affix.suffix)}.`;
  if (!issue.message.startsWith("Invalid ")) return customText(issue.message, value, what);
  return `${shown(value)} is not ${article(what)}.`;
}

/** A schema's own sentence; one without a subject (`must be …`, `is not …`) speaks of the value. */
function customText(message: string, value: unknown, what: string): string {
  if (!message || message === "Invalid input") return `${shown(value)} is not allowed as ${what}.`;
  const sentence = message.replace(/[.\s]*$/, "");
  if (/^(must|may|can) /.test(sentence)) return `${what} ${sentence}, not ${shown(value)}.`;
  return /^(is|are|has|holds|lacks|begins|ends|cannot) /.test(sentence)
    ? `${shown(value)} ${sentence}.`
    : `${sentence}.`;
}

function wrongType(issue: Extract<Issue, { code: "invalid_type" }>, path: Path, value: unknown): Problem {
  if (!issue.message.startsWith("Invalid "))
    return configProblem("SLUICE_CONFIG_VALUE", path, customText(issue.message, value, noun(path)));
  const message = `${noun(path)} must be ${typeWord(issue.expected)}, not ${shown(value)}.`;
  const entry = issue.expected === "array" && (typeof value === "string" || typeof value === "number");
  return configProblem("SLUICE_CONFIG_VALUE", path, message, entry ? { hint: `Write [${value}].` } : {});
}

/** YAML 1.1 merges another mapping by this key; YAML 1.2, which is read here, does not. */
const MERGE = "<<";

function unknownKey(key: string, path: Path, valid: readonly string[]): Problem {
  if (key === MERGE) {
    const hint = "Write the keys out, or take a whole value by an alias (*name).";
    return configProblem("SLUICE_CONFIG_KEY", [...path, key], "Keys are not merged: YAML 1.2 has no <<.", { hint });
  }
  const closest = closestWord(key, valid);
  const more = { ...(valid.length ? { valid } : {}), ...(closest ? { closest } : {}) };
  return configProblem("SLUICE_CONFIG_KEY", [...path, key], `${JSON.stringify(key)} is not a key here.`, more);
}

function invalidKey(path: Path): Problem {
  const message = `${JSON.stringify(String(path.at(-1)))} is not a name: lower-case letters, digits and dashes, at most 63.`;
  return configProblem("SLUICE_CONFIG_KEY", path, message);
}

function missing(path: Path, valid: readonly string[]): Problem {
  const where = path.length > 1 ? noun(path.slice(0, -1)) : "The file";
  const message = `${where} needs the key ${JSON.stringify(String(path.at(-1) ?? ""))}.`;
  return configProblem("SLUICE_CONFIG_MISSING", path, message, valid.length ? { valid } : {});
}

function wrongWord(value: unknown, path: Path, valid: readonly string[]): Problem {
  const scalar = typeof value !== "object" || value === null;
  const closest = scalar ? closestWord(String(value), valid) : undefined;
  const message = scalar
    ? `${shown(value)} is not ${article(noun(path))}.`
    : `${noun(path)} must be a word, not ${shown(value)}.`;
  return configProblem("SLUICE_CONFIG_VALUE", path, message, { valid, ...(closest ? { closest } : {}) });
}

function outOfRange(issue: Extract<Issue, { code: "too_small" | "too_big" }>, path: Path, value: unknown): Problem {
  const small = issue.code === "too_small";
  const limit = String(small ? issue.minimum : issue.maximum);
  const bound = `${small ? "at least" : "at most"} ${limit}`;
  const units: Record<string, string> = { array: "entries", string: "characters", set: "entries", map: "entries" };
  const unit = units[issue.origin];
  const message = unit ? `${noun(path)} must have ${bound} ${unit}.` : `${shown(value)} is out of range: ${bound}.`;
  return configProblem("SLUICE_CONFIG_VALUE", path, message);
}

/** Of a union's branches, the one whose kind of value was written; else what all of them together would take. */
function bestBranch(
  issue: Extract<Issue, { code: "invalid_union" }>,
  path: Path,
  schema: z.ZodType,
  root: unknown,
): Problem[] {
  const isKind = (i: Issue): boolean =>
    i.path.length === 0 && (i.code === "invalid_type" || i.code === "invalid_value");
  const value = valueAt(root, path);
  const meant = issue.errors.find((branch) => branch.length > 0 && !branch.some(isKind));
  if (meant) return meant.flatMap((i) => toProblems(i, path, schema, root));
  const words = issue.errors.flatMap((branch) =>
    branch.flatMap((i) => (i.code === "invalid_value" ? i.values.map(String) : [])),
  );
  if (value === undefined) return [missing(path, words)];
  if (words.length && typeof value === "string") return [wrongWord(value, path, words)];
  const kinds = issue.errors.flatMap((branch) =>
    branch.flatMap((i) =>
      i.code === "invalid_type" ? [typeWord(i.expected)] : i.code === "invalid_value" ? ["a word"] : [],
    ),
  );
  const wanted = [...new Set(kinds)].join(" or ") || "something else";
  const message = `${noun(path)} must be ${wanted}, not ${shown(value)}.`;
  return [configProblem("SLUICE_CONFIG_VALUE", path, message, words.length ? { valid: words } : {})];
}
