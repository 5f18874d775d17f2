import { mkdirSync, renameSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { run } from "../runtime/child.ts";
import { projectDir } from "./paths.ts";

const source = resolve(import.meta.dirname, "pass.bpf.c");
const object = resolve(projectDir, "build/lab-pass.bpf.o");

const modified = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Path of the compiled program for switch ports; compiles it when it is missing or older than its source. Throws. */
export async function passProgram(): Promise<string> {
  if (modified(object) > modified(source)) return object;
  mkdirSync(resolve(projectDir, "build"), { recursive: true });
  const temporary = `${object}.${process.pid}`;
  const result = await run(["clang", "-O2", "-target", "bpf", "-c", source, "-o", temporary]);
  if (result.code !== 0) throw new Error(`clang cannot compile ${source}: ${result.stderr.trim()}`);
  renameSync(temporary, object);
  return object;
}
