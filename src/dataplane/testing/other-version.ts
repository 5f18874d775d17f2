import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { runSync } from "../../runtime/child.ts";

const ours = resolve(import.meta.dirname, "../../..");

/** Two fields of a struct of `types.h` that change places. */
export type Swap = readonly [struct: string, one: string, other: string];

/** A version of the program whose structs are laid out otherwise: its folder, and how it goes away again. */
export function otherVersion(swaps: readonly Swap[]): { director: string; remove(): void } {
  const root = mkdtempSync(join(tmpdir(), "sluice-version-"));
  cpSync(join(ours, "src"), join(root, "src"), { recursive: true });
  for (const file of ["package.json", "tsconfig.json"]) cpSync(join(ours, file), join(root, file));
  symlinkSync(join(ours, "node_modules"), join(root, "node_modules"));
  const types = join(root, "src/dataplane/bpf/types.h");
  writeFileSync(types, swaps.reduce(swapped, readFileSync(types, "utf8")));
  const built = runSync([process.execPath, "src/dataplane/build.ts"], { cwd: root });
  if (built.code !== 0) throw new Error(built.stderr);
  return {
    director: join(root, "src/dataplane/testing/director.ts"),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

function swapped(text: string, [struct, one, other]: Swap): string {
  const begin = text.indexOf(`struct ${struct} {`);
  const end = text.indexOf("\n};", begin);
  const lines = text.slice(begin, end).split("\n");
  const places = [one, other].map((field) =>
    lines.findIndex((line) => new RegExp(`\\b${field}(\\[\\w+\\])?;`).test(line)),
  ) as [number, number];
  if (begin < 0 || places.includes(-1)) throw new Error(`types.h has no ${struct} with ${one} and ${other}`);
  const [a, b] = places;
  [lines[a], lines[b]] = [lines[b]!, lines[a]!];
  return text.slice(0, begin) + lines.join("\n") + text.slice(end);
}
