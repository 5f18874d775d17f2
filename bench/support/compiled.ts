import { basename, join } from "node:path";
import { runSync } from "../../src/runtime/child.ts";

/** Compiles a C program of this folder into `folder`; throws what clang says. @returns its path. */
export function compiled(folder: string, name: string): string {
  const source = join(import.meta.dirname, name);
  const built = join(folder, basename(name, ".c"));
  const { code, stderr } = runSync(["clang", "-O2", "-o", built, source]);
  if (code !== 0) throw new Error(`clang cannot compile ${source}: ${stderr}`);
  return built;
}
