/**
 * Every check of the project, one closing line: `N passed, N failed, N skipped`.
 * `--static` runs types, lint, format and the tree's rules alone; `--long` adds the long tests (test/long).
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { ensureBuilt } from "../src/dataplane/build.ts";
import { judgeTree } from "./static/imports.ts";
import { readJunit } from "./tools/conformance/junit.ts";
import type { Carried } from "./tools/conformance/match.ts";

const root = join(import.meta.dirname, "..");
const bin = (name: string): string => join(root, "node_modules/.bin", name);
const total = { passed: 0, failed: 0, skipped: 0 };
/** Files that are run once more at most: where more fail, something is broken. */
const RUN_AGAIN = 3;
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

/** Files with tests among these files and folders. */
const testFiles = (paths: string[]): string[] =>
  trackedFiles().filter(
    (file) => file.endsWith(".test.ts") && paths.some((path) => file === path || file.startsWith(`${path}/`)),
  );

/** Runs bun test over `paths`, `side` files at a time and the slowest first, with failures to the console. */
function bunTest(name: string, paths: string[], side: number, timeout: number): Carried[] {
  const folder = mkdtempSync(join(tmpdir(), "sluice-test-"));
  const report = join(folder, "report.xml");
  mkdirSync(join(root, "build"), { recursive: true });
  const timings = join(root, "build", `timings-${name.split(" ")[0]}.json`);
  const command = ["test", `--parallel=${side}`, `--timings=${timings}`, "--update-timings", `--timeout=${timeout}`];
  command.push("--only-failures", "--reporter=junit", `--reporter-outfile=${report}`, ...paths);
  const { status } = spawnSync(process.execPath, command, { cwd: root, stdio: "inherit" });
  try {
    const all = readJunit(readFileSync(report, "utf8"));
    const silent = testFiles(paths).filter((file) => all.every((one) => one.file !== file));
    for (const file of silent)
      step(`${file}: it could not be loaded, or has ended the program`, "no test of it has told its result");
    if (status !== 0 && silent.length === 0 && all.every(({ result }) => result !== "failed"))
      step(name, `bun test ended with ${status}, though no test has failed`);
    return all;
  } catch (error) {
    step(`${name}: no report`, `bun test ended with ${status}: ${error}`);
    return [];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Runs tests and adds their counts to the total; the reasons of those that were skipped were printed by the tests
 * themselves. Tests share the machine, and each other's load is nothing that they test: files in which one failed, if few,
 * are run once more, one after the other. A test that passes then has passed, and is named as unsteady.
 */
function tests(name: string, paths: string[], side: number, timeout: number): void {
  let all = bunTest(name, paths, side, timeout);
  const failed = all.filter(({ result }) => result === "failed");
  const files = [...new Set(failed.map(({ file }) => file))];
  if (files.length > 0 && files.length <= RUN_AGAIN && side > 1) {
    const again = bunTest(`repeated ${name}`, files, 1, timeout);
    const unsteady = failed.filter((one) =>
      again.some((other) => other.file === one.file && other.name === one.name && other.result === "passed"),
    );
    for (const { name: test, file } of unsteady) console.log(`     unsteady: ${file}: ${test}`);
    all = [...all.filter(({ file }) => !files.includes(file)), ...again];
  }
  for (const { result } of all) total[result]++;
  for (const { name: test, file } of all.filter(({ result }) => result === "skipped"))
    console.log(`     skipped: ${file}: ${test}`);
  console.log(`     ${stamp()}  ${name}`);
}

/** The data plane on the oldest kernel of the promise, in a guest: its own closing line counts. */
function kernel(): void {
  const { stdout } = spawnSync(process.execPath, ["test/kernel/run.ts"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [passed, failed, skipped] = (/(\d+) passed, (\d+) failed, (\d+) skipped\s*$/.exec(stdout) ?? [0, 0, 1, 0])
    .slice(1)
    .map(Number);
  total.passed += passed!;
  total.failed += failed!;
  total.skipped += skipped!;
  console.log(`${failed! > 0 ? stdout : ""}     ${stamp()}  kernel tests`);
}

/** Once for all processes that run tests. Where it cannot be done, tests say so, and why. */
function buildPrograms(): void {
  try {
    ensureBuilt();
  } catch {
    return;
  }
  console.log(`     ${stamp()}  programs for the kernel are built`);
}

tool("types", bin("tsc"), ["-p", "."]);
tool("lint and format", bin("biome"), ["ci", "--colors=off", "--error-on-warnings", "."]);
step("rooms, doors and file sizes", judgeTree(trackedFiles()).join("\n"));
if (!process.argv.includes("--static")) {
  buildPrograms();
  // End-to-end tests wait for networks and time-outs more than they compute, and each has networks of its own.
  const cores = availableParallelism();
  tests("unit tests", ["src", "test/static", "test/golden", "test/tools"], Math.min(cores + 1, 8), 20_000);
  tests("end-to-end tests", ["test/e2e"], Math.min(2 * cores, 8), 120_000);
  if (process.argv.includes("--long")) {
    // These move a gigabyte, or hold thousands of connections, when they are asked to.
    process.env.SLUICE_TEST_LONG = "1";
    const twice = [
      "src/methods/proxy/pressure.test.ts",
      "src/dataplane/crowd.e2e.test.ts",
      "test/e2e/handover.test.ts",
    ];
    const long = ["test/long", ...twice];
    tests("long tests", long, 1, 1_200_000);
    kernel();
  }
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);
