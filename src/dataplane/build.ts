import { mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Problem, SluiceError } from "../core/problem.ts";
import { runSync } from "../runtime/child.ts";
import { generate } from "./generate.ts";

const here = import.meta.dirname;
const sources = join(here, "bpf");
const methods = resolve(here, "../methods");
const output = resolve(here, "../../build");

/** The objects of the data plane; each is `bpf/NAME.bpf.c` and becomes `build/NAME.bpf.o`. */
export const objects = ["entry", "balance", "decap", "pass"] as const;
export type ObjectName = (typeof objects)[number];

export const objectPath = (name: ObjectName): string => join(output, `${name}.bpf.o`);
/** The TypeScript view of the kernel's structs, maps and numbers. */
export const generatedPath = join(here, "generated", "layout.ts");

const problem = (message: string): Problem => ({
  code: "SLUICE_BPF_LOAD",
  severity: "error",
  source: "kernel",
  path: [],
  message,
});

function newest(): number {
  const own = readdirSync(sources).map((file) => join(sources, file));
  const theirs = readdirSync(methods).map((method) => join(methods, method, "forward.bpf.h"));
  return Math.max(...[...own, ...theirs].map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0));
}

/** Where Debian keeps the headers of this machine's architecture (`asm/types.h`). */
function architectureHeaders(): string {
  const triplet = readdirSync("/usr/include").find((name) => /^[a-z0-9_]+-linux-gnu/.test(name));
  return `/usr/include/${triplet ?? ""}`;
}

/** Compiles one source of a program into an object file. Throws SluiceError (SLUICE_BPF_LOAD). */
export function compileProgram(source: string, target: string): void {
  // Beside and then in place: another process may be building or loading the same object.
  const temporary = `${target}.${process.pid}`;
  const include = ["-I", architectureHeaders(), "-I", sources, "-I", methods];
  const warnings = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"];
  const flags = ["-O2", "-g", "-target", "bpf", "-mcpu=v3", ...warnings, ...include];
  const done = runSync(["clang", ...flags, "-c", source, "-o", temporary]);
  if (done.code !== 0) throw new SluiceError(problem(`clang cannot compile ${source}: ${done.stderr.trim()}`));
  renameSync(temporary, target);
}

/**
 * Compiles what is missing or older than its sources. Costs a few file looks when all is built.
 * Throws SluiceError (SLUICE_BPF_LOAD) with the compiler's words.
 */
export function ensureBuilt(): void {
  mkdirSync(output, { recursive: true });
  const changed = newest();
  for (const name of objects) {
    if ((statSync(objectPath(name), { throwIfNoEntry: false })?.mtimeMs ?? 0) > changed) continue;
    compileProgram(join(sources, `${name}.bpf.c`), objectPath(name));
  }
}

/** The text of `generated/layout.ts`, made from the built object's BTF. */
export function generatedText(): string {
  const dump = runSync(["bpftool", "-j", "btf", "dump", "file", objectPath("balance")]);
  if (dump.code !== 0) throw new SluiceError(problem(`bpftool cannot read the object's BTF: ${dump.stderr.trim()}`));
  return generate(JSON.parse(dump.stdout));
}

if (import.meta.main) {
  ensureBuilt();
  mkdirSync(join(here, "generated"), { recursive: true });
  writeFileSync(generatedPath, generatedText());
}
