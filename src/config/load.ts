import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { extname } from "node:path";
import type { Catalog } from "../catalog.ts";
import { configProblem, type Problem } from "../core/problem.ts";
import { loadCode } from "./load-code.ts";
import { type Loaded, MAX_CONFIG_BYTES, parseConfig, parseConfigValue } from "./parse.ts";
import { createSourceText, wholeFile } from "./source-text.ts";

export type { Loaded } from "./parse.ts";
export { MAX_CONFIG_BYTES, parseConfig } from "./parse.ts";

const refused = (file: string, problems: Problem[], text = ""): Loaded => ({
  ok: false,
  problems: problems.map((p) => ({ ...p, place: p.place ?? wholeFile(file) })),
  warnings: [],
  source: createSourceText(file, text),
});

/**
 * Loads a configuration: `.yaml`, `.yml`, `.json`, `-` (YAML on standard input), or `.ts`/`.js`/`.mjs` whose default export it is. Never throws and
 * always ends. `bundleDir` keeps a TypeScript configuration's bundle for the workers;
 * `codeLimit` is how long its code may run, ms.
 */
export async function loadConfig(
  file: string,
  catalog: Catalog,
  options: { bundleDir?: string; codeLimit?: number } = {},
): Promise<Loaded> {
  const input = file === "-";
  const extension = input ? ".yaml" : extname(file).toLowerCase();
  const text = readText(input ? 0 : file);
  if (typeof text !== "string") return refused(file, [text]);
  if (extension === ".yaml" || extension === ".yml" || extension === ".json")
    return parseConfig(input ? "standard input" : file, text, catalog);
  if (extension !== ".ts" && extension !== ".js" && extension !== ".mjs") {
    const message = `${JSON.stringify(extension || file)} is not a kind of configuration: .yaml, .yml, .json or .ts.`;
    return refused(file, [configProblem("SLUICE_CONFIG_READ", [], message)]);
  }
  const code = await loadCode(file, options.bundleDir ?? null, options.codeLimit);
  if (!code.ok) return refused(file, code.problems, text);
  const functions = code.value.functions.map((path) =>
    configProblem("SLUICE_CONFIG_VALUE", path, "A function cannot stand here: write the value itself."),
  );
  if (functions.length > 0) return refused(file, functions);
  return parseConfigValue(file, code.value.value, catalog, code.value.bundle);
}

/** The file's text, or the problem that keeps it from being read. Reads no more than the limit. */
function readText(file: string | 0): string | Problem {
  let fd: number | undefined;
  try {
    // Not blocking: to open a pipe that nobody writes would never end.
    fd = file === 0 ? 0 : openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    if (file !== 0 && !stat.isFile()) return unreadable("It is not a file");
    if (stat.size > MAX_CONFIG_BYTES) return unreadable(`The file has ${stat.size} bytes: ${MOST}`);
    const bytes = readAtMost(fd, MAX_CONFIG_BYTES + 1);
    if (bytes.length > MAX_CONFIG_BYTES) return unreadable(`There is no end within what is read: ${MOST}`);
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    const { code } = error as { code?: string };
    const reason = code === "ENOENT" ? "There is no such file" : code === "EACCES" ? "Permission denied" : null;
    const message =
      error instanceof TypeError ? "The file is not UTF-8 text" : (reason ?? `It cannot be read (${code})`);
    return unreadable(message, code === "ENOENT" ? { hint: "Name the configuration with -c FILE." } : {});
  } finally {
    if (fd) closeSync(fd);
  }
}

const MOST = `at most ${MAX_CONFIG_BYTES} bytes are read`;

const unreadable = (why: string, more: Partial<Problem> = {}): Problem =>
  configProblem("SLUICE_CONFIG_READ", [], `${why}.`, more);

function readAtMost(fd: number, most: number): Buffer {
  const parts: Buffer[] = [];
  for (let left = most; left > 0; ) {
    const part = Buffer.allocUnsafe(Math.min(left, 1 << 16));
    const length = readSync(fd, part);
    if (length === 0) break;
    parts.push(part.subarray(0, length));
    left -= length;
  }
  return Buffer.concat(parts);
}
