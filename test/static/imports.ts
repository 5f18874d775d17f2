/** Checks the tree's own rules on every tracked TypeScript and C file; prints one line per breach. */
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { idleExports } from "./exports.ts";
import { bunAllowed, longest, longestFunction, rooms } from "./rooms.ts";
import { unexplained } from "./unexplained.ts";

const root = join(import.meta.dirname, "../..");
const importPattern =
  /(?:^|\n)\s*(?:import|export)\s[^;'"]*?from\s*["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)|(?:^|\n)import\s*["']([^"']+)["']/g;

const roomOf = (path: string): number => rooms.indexOf(path.split("/")[1] as (typeof rooms)[number]);
const methodOf = (path: string): string | null => /^src\/methods\/([^/]+)\//.exec(path)?.[1] ?? null;

/** Breaches of one file, as sentences. `path` is relative to the repository. */
export function breaches(path: string, text: string): string[] {
  const found: string[] = [];
  const lines = text.split("\n").length - 1;
  const most = path.includes(".test.") || path.startsWith("test/") ? longest.test : longest.file;
  if (lines > most) found.push(`${path}: ${lines} lines, at most ${most}: one idea a file`);
  if (/\.[ch]$/.test(path)) found.push(...longFunctions(path, text));
  if (/^src\/.*\.[ch]$/.test(path))
    found.push(...unexplained(text).map((at) => `${path}:${at}: say what this map or constant is for, and its unit`));
  if (!path.startsWith("src/") || !path.endsWith(".ts")) return found;
  if (roomOf(path) < 0) found.push(`${path}: is in no room (test/static/rooms.ts)`);
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
  if (!bunAllowed.some((allowed) => allowed.test(path)) && /\bBun\.[a-z]|["']bun(:ffi)?["']/.test(code))
    found.push(`${path}: only src/runtime/ may use Bun.* and bun:ffi`);
  for (const match of code.matchAll(importPattern)) found.push(...judgeImport(path, match[1] ?? match[2] ?? match[3]!));
  return found;
}

/** Functions of C: their braces stand alone at the beginning of a line. */
function longFunctions(path: string, text: string): string[] {
  const lengths = [...text.matchAll(/^\{\n([\s\S]*?)^\}/gm)].map(({ 1: body, index }) => ({
    at: text.slice(0, index).split("\n").length,
    lines: body!.split("\n").length - 1,
  }));
  const long = lengths.filter(({ lines }) => lines > longestFunction);
  return long.map(({ at, lines }) => `${path}:${at}: a function of ${lines} lines, at most ${longestFunction}`);
}

function judgeImport(path: string, specifier: string): string[] {
  if (!specifier.startsWith(".")) return [];
  const target = relative(root, join(root, dirname(path), specifier));
  if (!target.startsWith("src/"))
    return path.includes(".test.") ? [] : [`${path}: imports ${target} from outside src/`];
  const [from, to] = [methodOf(path), methodOf(target)];
  if (from && to && from !== to) return [`${path}: a method never imports another method (${target})`];
  if (roomOf(target) > roomOf(path) && !path.includes(".test."))
    return [`${path}: imports ${target}, a room below its own (test/static/rooms.ts)`];
  return [];
}

/** All tracked and new files that the rules cover. */
export function judgeTree(files: readonly string[]): string[] {
  const texts = new Map(files.map((path) => [path, readFileSync(join(root, path), "utf8")]));
  const typescript = new Map([...texts].filter(([path]) => /\.tsx?$/.test(path)));
  return [...[...texts].flatMap(([path, text]) => breaches(path, text)), ...idleExports(typescript)];
}
