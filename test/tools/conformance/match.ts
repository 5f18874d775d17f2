/** A test that ran. */
export interface Carried {
  name: string;
  file: string;
  result: "passed" | "failed" | "skipped";
}

/** What is needed of a rule here. */
export interface RuleLine {
  id: string;
  source: string;
  rule: string;
  absent?: string;
}

export interface RuleResult extends RuleLine {
  result: "passed" | "failed" | "no test" | "not offered";
  tests: Carried[];
}

/** Does a test's name hold this id as a word of its own? */
export const carries = (name: string, id: string): boolean =>
  new RegExp(`(^|[\\s[(,;/])${id.replaceAll(".", "\\.")}($|[\\s\\]),;:/])`).test(name);

/** A rule passes when a test carries its id and all that do have passed. A skipped test proves nothing. */
export function judgeRule(rule: RuleLine, all: readonly Carried[]): RuleResult {
  const tests = all.filter(({ name }) => carries(name, rule.id));
  if (rule.absent !== undefined && tests.length === 0) return { ...rule, result: "not offered", tests };
  const ran = tests.filter(({ result }) => result !== "skipped");
  if (ran.length === 0) return { ...rule, result: "no test", tests };
  return { ...rule, result: ran.some(({ result }) => result === "failed") ? "failed" : "passed", tests };
}

/** Ids of the form `A.1` in the names of tests that no rule has: a slip of the pen, or a rule that was forgotten. */
export function strayIds(rules: readonly RuleLine[], tests: readonly Carried[]): string[] {
  const known = new Set(rules.map(({ id }) => id));
  const used = tests.flatMap(({ name }) =>
    [...name.matchAll(/(?<![\w.])([A-E]\.\d{1,2})(?![\w.])/g)].map((m) => m[1]!),
  );
  return [...new Set(used)].filter((id) => !known.has(id)).sort();
}

/** Id, test, result; the first test by name, the others by number, the failed ones all. */
export function ruleLine({ id, source, rule, absent, result, tests }: RuleResult): string {
  const head = `${result.padEnd(11)} ${id.padEnd(20)} ${rule} (${source})`;
  if (result === "not offered") return `${head}\n${" ".repeat(33)}${absent}`;
  const failed = tests.filter((test) => test.result === "failed");
  const shown = failed.length > 0 ? failed : tests.slice(0, 1);
  const more = tests.length - shown.length;
  const lines = shown.map(({ name, file }) => `${" ".repeat(33)}${name} (${file})`);
  return [head, ...lines, ...(more > 0 ? [`${" ".repeat(33)}and ${more} more`] : [])].join("\n");
}
