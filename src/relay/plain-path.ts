/**
 * Paths are compared as they were sent, and backends may read more into them: escapes decoded, `//` as `/`, `..` walked.
 * Here is told which paths leave room for that, and how the freest reader would have them.
 */

/** Escapes of what needs none (RFC 3986 2.3: another reader may undo them), of `/` and of `\`. */
const ESCAPED = /%(?:2[DdEeFf]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[CcFf]|7[Ee])/g;
const NUL = /%00/;
/** Some readers end a segment at `;`: what follows are parameters of it (RFC 3986 3.3). */
const PARAMETERS = /;[^/]*/g;
const DOT_SEGMENT = /\/\.\.?(?:\/|$)/;

/** Octets of a path after which readers differ: `%`, `\`, `;` anywhere; 2, 3: `/` and `.` behind a `/`. */
const ODD = new Uint8Array(256);
for (const octet of "%\\;") ODD[octet.charCodeAt(0)] = 1;
ODD["/".charCodeAt(0)] = 2;
ODD[".".charCodeAt(0)] = 3;

/** Can `bytes[start, end)`, a path, be read in one way only? */
export function isPlain(bytes: Uint8Array, start: number, end: number): boolean {
  let last = 0;
  for (let i = start; i < end; i++) {
    const kind = ODD[bytes[i]!]!;
    if (kind === 1 || (kind !== 0 && last === 2)) return false;
    last = kind;
  }
  return true;
}

/**
 * A path as the freest reader would have it: escapes of unreserved characters and of slashes decoded, `\` as `/`, parameters of
 * segments cut off, empty segments left out. Null where nothing of that may be relied on: dot segments, which a client
 * has to resolve itself (RFC 3986 5.2.4), and NUL.
 */
export function freestReading(path: string): string | null {
  if (NUL.test(path)) return null;
  const plain = path
    .replace(ESCAPED, (triplet) => String.fromCharCode(Number.parseInt(triplet.slice(1), 16)))
    .replaceAll("\\", "/")
    .replace(PARAMETERS, "")
    .replace(/\/{2,}/g, "/");
  return DOT_SEGMENT.test(plain) ? null : plain;
}
