/**
 * `bun run conformance http|dns`: the RFC rules of a protocol, each with the tests that carry its id and their result.
 * Fails on a rule without a test, on a rule whose tests did not all pass, and on an id that no rule has. `--json` for
 * machines.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closestWord } from "../../src/core/words.ts";
import { checklist as dns } from "../../src/methods/dns/checklist.ts";
import { checklist as http } from "../../src/protocols/http/checklist.ts";
import { readJunit } from "./conformance/junit.ts";
import { type Carried, judgeRule, type RuleLine, ruleLine, strayIds } from "./conformance/match.ts";

const root = join(import.meta.dirname, "../..");

const suites: Record<string, { rules: readonly RuleLine[]; paths: string[] }> = {
  http: { rules: http, paths: ["src/protocols/http", "src/methods/proxy", "src/methods/redirect"] },
  dns: { rules: dns, paths: ["src/methods/dns", "src/protocols/dns"] },
};

function runTests(paths: string[]): Carried[] {
  const folder = mkdtempSync(join(tmpdir(), "sluice-conformance-"));
  const report = join(folder, "report.xml");
  const args = ["test", "--timeout=60000", "--only-failures", "--reporter=junit", `--reporter-outfile=${report}`];
  const { stderr } = spawnSync(process.execPath, [...args, ...paths], { cwd: root, encoding: "utf8" });
  try {
    return readJunit(readFileSync(report, "utf8"));
  } catch (error) {
    throw new Error(`bun test gave no report: ${error}\n${stderr}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function main(args: string[]): number {
  const json = args.includes("--json");
  const [name = "", ...rest] = args.filter((arg) => arg !== "--json");
  const suite = suites[name];
  if (suite === undefined || rest.length > 0) {
    const closest = closestWord(name, Object.keys(suites));
    console.error(`usage: bun run conformance http|dns [--json]${closest ? `; did you mean ${closest}?` : ""}`);
    return 2;
  }
  const tests = runTests(suite.paths);
  const results = suite.rules.map((rule) => judgeRule(rule, tests));
  const stray = name === "http" ? strayIds(suite.rules, tests) : [];
  const bad = results.filter(({ result }) => result === "failed" || result === "no test");
  const count = (what: string): number => results.filter(({ result }) => result === what).length;
  if (json) console.log(JSON.stringify({ schema: "sluice.conformance/v1", protocol: name, results, stray }));
  else {
    for (const result of results) console.log(ruleLine(result));
    for (const id of stray) console.log(`${id}: a test carries it, but no rule has it`);
    console.log(
      `${name}: ${count("passed")} rules passed, ${count("failed")} failed, ${count("no test")} without a test, ${count("not offered")} not offered`,
    );
  }
  return bad.length + stray.length === 0 ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
