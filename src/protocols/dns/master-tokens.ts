/** One token of a master file: its text with escapes as they were written, and whether it stood in quotes. */
export interface Token {
  text: string;
  quoted: boolean;
}

/** A logical line: tokens up to a line feed that is not within parentheses. */
export interface Entry {
  /** Of its first token, from 1. */
  line: number;
  /** Did it begin with a blank? Then the owner is the last one's. */
  indented: boolean;
  tokens: Token[];
}

/** Where a token of plain characters ends. A quote does not end it: `alpn="h2,h3"` is one (RFC 9460 2.1). */
const END = /[\s;()]/;

/**
 * Splits a master file into entries (RFC 1035 5.1): comments, quotes, parentheses, escapes. `fault` is told what is
 * wrong, by line; a quote does not go over a line's end. Linear in the text.
 */
export function* entriesOf(text: string, fault: (line: number, message: string) => void): Generator<Entry> {
  let line = 1;
  let depth = 0;
  let opened = 0;
  let entry: Entry | null = null;
  let fresh = true;
  let blank = false;
  for (let at = 0; at < text.length; ) {
    const character = text[at]!;
    if (character === "\n") {
      line++;
      at++;
      if (depth > 0) continue;
      if (entry !== null) yield entry;
      entry = null;
      fresh = true;
      blank = false;
    } else if (character === ";") {
      while (at < text.length && text[at] !== "\n") at++;
    } else if (character === "(" || character === ")") {
      depth += character === "(" ? 1 : -1;
      if (depth === 1 && character === "(") opened = line;
      if (depth < 0) fault(line, "a parenthesis closes that was not opened");
      depth = Math.max(0, depth);
      // A line that begins with a parenthesis has no owner of its own.
      if (fresh && entry === null) blank = true;
      at++;
    } else if (/\s/.test(character)) {
      if (fresh && entry === null) blank = true;
      at++;
    } else {
      const { token, end, closed } = readToken(text, at);
      if (!closed) fault(line, "a quote is not closed on its line");
      entry ??= { line, indented: blank, tokens: [] };
      entry.tokens.push(token);
      fresh = false;
      at = end;
    }
  }
  if (depth > 0) fault(opened, "a parenthesis is not closed");
  if (entry !== null) yield entry;
}

function readToken(text: string, start: number): { token: Token; end: number; closed: boolean } {
  if (text[start] === '"') {
    const end = quoteEnd(text, start + 1);
    const closed = text[end] === '"';
    return { token: { text: text.slice(start + 1, end), quoted: true }, end: closed ? end + 1 : end, closed };
  }
  let at = start;
  let word = "";
  let closed = true;
  while (at < text.length && !END.test(text[at]!)) {
    if (text[at] === "\\" && at + 1 < text.length && text[at + 1] !== "\n") {
      word += text.slice(at, at + 2);
      at += 2;
    } else if (text[at] === '"') {
      const end = quoteEnd(text, at + 1);
      closed &&= text[end] === '"';
      word += text.slice(at + 1, end);
      at = closed ? end + 1 : end;
    } else {
      word += text[at++];
    }
  }
  return { token: { text: word, quoted: false }, end: at, closed };
}

/** The closing quote, or the line's end. */
function quoteEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && text[at] !== '"' && text[at] !== "\n") at += text[at] === "\\" ? 2 : 1;
  return Math.min(at, text.length);
}

/** Octets of a character string: `\DDD` and `\X` taken in, other characters as UTF-8. Null for a bad escape. */
export function octetsOf(text: string): Uint8Array | null {
  const out: number[] = [];
  for (let at = 0; at < text.length; ) {
    if (text[at] !== "\\") {
      const point = text.codePointAt(at)!;
      const character = String.fromCodePoint(point);
      if (point < 128) out.push(point);
      else out.push(...new TextEncoder().encode(character));
      at += character.length;
      continue;
    }
    const digits = /^\d{3}/.exec(text.slice(at + 1, at + 4))?.[0];
    if (digits === undefined ? at + 1 >= text.length || /\d/.test(text[at + 1]!) : Number(digits) > 255) return null;
    out.push(digits === undefined ? text.charCodeAt(at + 1) & 0xff : Number(digits));
    at += digits === undefined ? 2 : 4;
  }
  return Uint8Array.from(out);
}
