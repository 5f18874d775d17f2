import { MAX_LABEL, MAX_NAME } from "./numbers.ts";

/** Case-insensitive form of one octet (RFC 4343). Length octets (<= 63) are never letters, so whole wire names may be folded. */
export const foldOctet = (octet: number): number => (octet >= 65 && octet <= 90 ? octet + 32 : octet);

/**
 * The same of four octets in a word at once: 0x20 goes into each octet that is at least `A`, not above `Z`, and has its
 * high bit clear. No octet's sum reaches the next one.
 */
export function foldWord(word: number): number {
  const low = word & 0x7f7f7f7f;
  return word | (((low + 0x3f3f3f3f) & ~(low + 0x25252525) & ~word & 0x80808080) >>> 2);
}

const DOT = 46;
const BACKSLASH = 92;
const escaped = /\\(?:(\d{3})|([\s\S]))/y;

/** Splits presentation form at unescaped dots; octets per label. Null for a bad escape or an octet above 255. */
function toLabels(text: string): number[][] | null {
  const labels: number[][] = [[]];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      labels.push([]);
    } else if (code === BACKSLASH) {
      escaped.lastIndex = i;
      const match = escaped.exec(text);
      if (match === null) return null;
      const octet = match[1] === undefined ? match[2]!.charCodeAt(0) : Number(match[1]);
      if (octet > 255) return null;
      labels.at(-1)!.push(octet);
      i += match[0].length - 1;
    } else {
      if (code > 126 || code < 33) return null;
      labels.at(-1)!.push(code);
    }
  }
  return labels;
}

/**
 * Presentation form (RFC 1035 5.1: `\.` and `\DDD` escapes, the trailing dot optional) to wire form, lower case, root
 * label included. Null for an empty label, a label above 63 or a name above 255 octets, or characters that need an escape.
 */
export function nameToWire(text: string): Uint8Array | null {
  if (text === ".") return new Uint8Array(1);
  return plainToWire(text) ?? escapedToWire(text);
}

/** The way most names go: nothing escaped, no trailing dot. Null for all others, right or wrong. */
function plainToWire(text: string): Uint8Array | null {
  const { length } = text;
  if (length === 0 || length > MAX_NAME - 2) return null;
  const out = new Uint8Array(length + 2);
  let start = 0;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (i === start || i - start > MAX_LABEL) return null;
      out[start] = i - start;
      start = i + 1;
    } else if (code === BACKSLASH || code > 126 || code < 33) {
      return null;
    } else {
      out[i + 1] = foldOctet(code);
    }
  }
  if (length === start || length - start > MAX_LABEL) return null;
  out[start] = length - start;
  return out;
}

function escapedToWire(text: string): Uint8Array | null {
  const labels = toLabels(text);
  if (labels === null) return null;
  if (labels.at(-1)!.length === 0) labels.pop();
  const out: number[] = [];
  for (const label of labels) {
    if (label.length === 0 || label.length > MAX_LABEL) return null;
    out.push(label.length, ...label.map(foldOctet));
  }
  out.push(0);
  return labels.length > 0 && out.length <= MAX_NAME ? Uint8Array.from(out) : null;
}

/** Wire form without pointers to presentation form, no trailing dot (`.` for the root). `wire` must be a whole name. */
export function wireToName(wire: Uint8Array, at = 0): string {
  const labels: string[] = [];
  for (let i = at; wire[i] !== 0; i += wire[i]! + 1) {
    let label = "";
    for (const octet of wire.subarray(i + 1, i + 1 + wire[i]!)) {
      if (octet === 46 || octet === 92) label += `\\${String.fromCharCode(octet)}`;
      else if (octet < 33 || octet > 126) label += `\\${String(octet).padStart(3, "0")}`;
      else label += String.fromCharCode(octet);
    }
    labels.push(label);
  }
  return labels.length === 0 ? "." : labels.join(".");
}

/** Number of labels, the root not counted. */
export function labelCount(wire: Uint8Array): number {
  let count = 0;
  for (let i = 0; wire[i] !== 0; i += wire[i]! + 1) count++;
  return count;
}

const STAR = 42;

/** Is the first label a star, alone (RFC 4592 2.1.1)? */
export const isWildcard = (wire: Uint8Array): boolean => wire[0] === 1 && wire[1] === STAR;

/** The name without its first label; null for the root. */
export const parentName = (wire: Uint8Array): Uint8Array | null => (wire[0] === 0 ? null : wire.subarray(wire[0]! + 1));

/** Is `name` equal to `zone` or below it? Both in lower case. */
export function isWithin(name: Uint8Array, zone: Uint8Array): boolean {
  for (let rest: Uint8Array | null = name; rest !== null; rest = parentName(rest)) {
    if (rest.length === zone.length) return rest.every((octet, i) => octet === zone[i]);
  }
  return false;
}

/** A mailbox for SOA: `hostmaster@example.com`, or already a name. Dots left of the `@` are escaped (RFC 1035 8). */
export function mailboxToWire(text: string): Uint8Array | null {
  const at = text.lastIndexOf("@");
  if (at === -1) return nameToWire(text);
  const local = text.slice(0, at).replace(/[.\\]/g, "\\$&");
  return nameToWire(`${local}.${text.slice(at + 1)}`);
}

const HASH_BASIS = 0x811c9dc5;
const HASH_PRIME = 0x01000193;

/** Hash of the root name; `hashLabel` extends it leftwards, so one pass over a name yields the hash of each ancestor. */
export const ROOT_HASH = HASH_BASIS;

/** FNV-1a over one folded label (length octet first), continuing the hash of the name to its right. u32 as i32. */
export function hashLabel(bytes: Uint8Array, at: number, hash: number): number {
  const end = at + bytes[at]!;
  let h = Math.imul(hash ^ bytes[at]!, HASH_PRIME);
  for (let i = at + 1; i <= end; i++) {
    const octet = bytes[i]!;
    h = Math.imul(h ^ (octet >= 65 && octet <= 90 ? octet + 32 : octet), HASH_PRIME);
  }
  return h;
}

/** Where the labels of the name in `hashName` begin; there are never more. */
const starts = new Uint8Array(128);

/** Hash of a wire name that begins at `from`, the same as a query's for that name. */
export function hashName(wire: Uint8Array, from = 0): number {
  let count = 0;
  for (let i = from; wire[i] !== 0; i += wire[i]! + 1) starts[count++] = i;
  let hash = ROOT_HASH;
  while (count > 0) hash = hashLabel(wire, starts[--count]!, hash);
  return hash;
}
