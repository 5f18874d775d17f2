import { mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Problem, SluiceError } from "../core/problem.ts";
import { runSync } from "../runtime/child.ts";
import { dnsStructs, generate, planeStructs } from "./generate.ts";

const here = import.meta.dirname;
const sources = join(here, "bpf");
const methods = resolve(here, "../methods");
const output = resolve(here, "../../build");

/** The objects of the data plane by their sources; each becomes `build/NAME.bpf.o`. */
const sourceOf = {
  entry: join(sources, "entry.bpf.c"),
  balance: join(sources, "balance.bpf.c"),
  guard: join(sources, "guard.bpf.c"),
  decap: join(sources, "decap.bpf.c"),
  pass: join(sources, "pass.bpf.c"),
  dns: join(methods, "dns", "xdp", "answer.bpf.c"),
} as const;
export type ObjectName = keyof typeof sourceOf;
export const objects = Object.keys(sourceOf) as ObjectName[];

export const objectPath = (name: ObjectName): string => join(output, `${name}.bpf.o`);
/** The TypeScript view of the kernel's structs, maps and numbers. */
export const generatedPath = join(here, "generated", "layout.ts");
/** All such views: where each lies, and the object and structs that it is made of. */
export const views: readonly { path: string; object: ObjectName; structs: readonly string[] }[] = [
  { path: generatedPath, object: "balance", structs: planeStructs },
  { path: join(methods, "dns", "xdp", "layout.ts"), object: "dns", structs: dnsStructs },
];

const problem = (message: string): Problem => ({
  code: "SLUICE_BPF_LOAD",
  severity: "error",
  source: "kernel",
  path: [],
  message,
});

function newest(): number {
  const own = [sources, join(methods, "dns", "xdp")].flatMap((folder) =>
    readdirSync(folder)
      .filter((file) => /\.[ch]$/.test(file))
      .map((file) => join(folder, file)),
  );
  const theirs = readdirSync(methods).map((method) => join(methods, method, "forward.bpf.h"));
  return Math.max(...[...own, ...theirs].map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0));
}

/** Where Debian keeps the headers of this machine's architecture (`asm/types.h`). */
function architectureHeaders(): string {
  const triplet = readdirSync("/usr/include").find((name) => /^[a-z0-9_]+-linux-gnu/.test(name));
  return `/usr/include/${triplet ?? ""}`;
}

/** clang takes seconds on an idle core, ms; a busy host is no reason to give up. */
const PATIENCE = 300_000;

/** Compiles one source of a program into an object file. Throws SluiceError (SLUICE_BPF_LOAD). */
export function compileProgram(source: string, target: string): void {
  // Beside and then in place: another process may be building or loading the same object.
  const temporary = `${target}.${process.pid}`;
  const include = ["-I", architectureHeaders(), "-I", sources, "-I", methods];
  const warnings = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"];
  const flags = ["-O2", "-g", "-target", "bpf", "-mcpu=v3", ...warnings, ...include];
  const done = runSync(["clang", ...flags, "-c", source, "-o", temporary], { timeout: PATIENCE });
  const why = done.stderr.trim() || `it ended with ${done.code}, and says nothing`;
  if (done.code !== 0) throw new SluiceError(problem(`clang cannot compile ${source}: ${why}`));
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
    compileProgram(sourceOf[name], objectPath(name));
  }
}

/** The text of a view, made from the built object's BTF. */
export function generatedText({ object, structs }: Pick<(typeof views)[number], "object" | "structs">): string {
  const dump = runSync(["bpftool", "-j", "btf", "dump", "file", objectPath(object)]);
  if (dump.code !== 0) throw new SluiceError(problem(`bpftool cannot read the object's BTF: ${dump.stderr.trim()}`));
  return generate(JSON.parse(dump.stdout), structs);
}

if (import.meta.main) {
  ensureBuilt();
  for (const view of views) {
    mkdirSync(dirname(view.path), { recursive: true });
    writeFileSync(view.path, generatedText(view));
  }
}
