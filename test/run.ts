/**
 * Every check of the project, one closing line: `N passed, N failed, N skipped`.
 * `--static` runs types, lint, format and the tree's rules alone; `--long` adds the long tests (test/long).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { judgeTree } from "./static/imports.ts";

const root = join(import.meta.dirname, "..");
const bin = (name: string): string => join(root, "node_modules/.bin", name);
const total = { passed: 0, failed: 0, skipped: 0 };
const began = performance.now();
const stamp = (): string => `${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s`;

function step(name: string, problems: string): void {
  problems ? total.failed++ : total.passed++;
  console.log(`${problems ? "FAIL" : "ok  "} ${stamp()}  ${name}${problems ? `\n${problems}` : ""}`);
}

function tool(name: string, command: string, args: string[]): void {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  step(name, status === 0 ? "" : `${stdout}${stderr}`);
}

function trackedFiles(): string[] {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", "--", "*.ts", "*.tsx", "*.c", "*.h"];
  const listed = spawnSync("git", args, { cwd: root, encoding: "utf8" }).stdout.split("\n").filter(Boolean);
  return listed.filter((path) => !/(^|\/)generated\//.test(path));
}

/** Runs bun test over `paths` with results to the console, and adds its counts (from the JUnit report) to the total. */
function tests(name: string, paths: string[], args: string[]): void {
  const folder = mkdtempSync(join(tmpdir(), "sluice-test-"));
  const report = join(folder, "report.xml");
  const command = ["test", ...args, "--only-failures", "--reporter=junit", `--reporter-outfile=${report}`, ...paths];
  const { status } = spawnSync(process.execPath, command, { cwd: root, stdio: "inherit" });
  try {
    const head = /<testsuites[^>]*\btests="(\d+)"[^>]*\bfailures="(\d+)"[^>]*\bskipped="(\d+)"/.exec(
      readFileSync(report, "utf8"),
    );
    if (!head) throw new Error("no counts in the report");
    const [tested, failed, skipped] = [Number(head[1]), Number(head[2]), Number(head[3])];
    total.passed += tested - failed - skipped;
    total.failed += failed || (status === 0 ? 0 : 1);
    total.skipped += skipped;
  } catch (error) {
    step(`${name}: no report`, `bun test ended with ${status}: ${error}`);
  }
  rmSync(folder, { recursive: true });
  console.log(`     ${stamp()}  ${name}`);
}

tool("types", bin("tsc"), ["-p", "."]);
tool("lint and format", bin("biome"), ["ci", "--colors=off", "--error-on-warnings", "."]);
step("rooms, doors and file sizes", judgeTree(trackedFiles()).join("\n"));
if (!process.argv.includes("--static")) {
  tests("unit tests", ["src", "test/static", "test/golden", "test/tools"], ["--timeout=20000"]);
  tests("end-to-end tests", ["test/e2e"], ["--timeout=120000"]);
  if (process.argv.includes("--long")) tests("long tests", ["test/long"], ["--timeout=1200000"]);
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);
