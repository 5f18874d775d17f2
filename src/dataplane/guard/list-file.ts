import { readFileSync } from "node:fs";
import { type Prefix, parsePrefix } from "../../geo/prefix.ts";

/** Largest list file that is read, bytes: twice what the longest networks of a full list need. */
const MOST_BYTES = 16 * 2 ** 20;

/**
 * Networks of a list file: one a line, `#` begins a comment, empty lines count for nothing. Throws an Error that names
 * the line, or the system's.
 */
export function readListFile(path: string): Prefix[] {
  const bytes = readFileSync(path);
  if (bytes.length > MOST_BYTES) throw new Error(`it has more than ${MOST_BYTES} bytes`);
  return parseList(bytes.toString("latin1"));
}

/** The same of a file's text. */
export function parseList(text: string): Prefix[] {
  const found: Prefix[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    const written = line.replace(/#.*/, "").trim();
    if (written === "") continue;
    const prefix = parsePrefix(written);
    if (!prefix)
      throw new Error(`line ${i + 1}: ${JSON.stringify(written.slice(0, 60))} is not a network such as 10.0.0.0/8`);
    found.push(prefix);
  }
  return found;
}
