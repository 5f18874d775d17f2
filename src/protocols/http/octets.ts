/** Classes of octets (RFC 9110 5.6.2, 5.5; RFC 3986), as tables: one load per byte, no branches on ranges. */

export const CR = 13;
export const LF = 10;
export const SP = 32;
export const HTAB = 9;
export const COLON = 58;
export const COMMA = 44;
export const SEMICOLON = 59;
export const SLASH = 47;
export const QUESTION = 63;
export const ASTERISK = 42;
export const BACKSLASH = 92;
const DIGIT_0 = 48;
export const DIGIT_1 = 49;

function table(member: (octet: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, octet) => (member(octet) ? 1 : 0));
}

const among = (text: string) => (octet: number) => octet < 128 && text.includes(String.fromCharCode(octet));
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const digits = "0123456789";

/** tchar: names of methods and fields. */
export const TOKEN = table(among(`!#$%&'*+-.^_\`|~${digits}${letters}`));
/** Octets of a field value: visible, obs-text, SP, HTAB. Never CR, LF, NUL or another control. */
export const VALUE = table((octet) => octet === HTAB || (octet >= SP && octet !== 127));
/**
 * Octets of a request target: visible ASCII without `"`, `#`, `<`, `>`. Wider than RFC 3986 by what browsers leave
 * unescaped in a query; a fragment never belongs in a request.
 */
export const TARGET = table((octet) => octet > SP && octet < 127 && !among('"#<>')(octet));
/**
 * Octets of a registered name or an IPv4 literal (RFC 3986 3.2.2). Not `%`: one reader decodes it, another does not; not
 * `,`: a hop that joins two Host fields writes it.
 */
export const HOST_NAME = table(among(`-._~!$&'()*+;=${digits}${letters}`));

/** ASCII lower case of each octet. */
export const LOWER = Uint8Array.from({ length: 256 }, (_, octet) => (octet >= 65 && octet <= 90 ? octet + 32 : octet));

/** Value of a hexadecimal digit; 255 for anything else. */
export const HEX = Uint8Array.from({ length: 256 }, (_, octet) => {
  const value = "0123456789abcdef".indexOf(String.fromCharCode(LOWER[octet]!));
  return value < 0 ? 255 : value;
});

export const isDigit = (octet: number): boolean => octet >= 48 && octet <= 57;

/** Octets of an ASCII text. */
export const ascii = (text: string): Buffer => Buffer.from(text, "latin1");

/** Is `bytes[start, end)` this lower-case ASCII word, whatever its case? */
export function isWord(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (LOWER[bytes[start + i]!] !== word[i]) return false;
  return true;
}

/** Decimal digits to a number; -1 when empty, when anything else stands there, or beyond 2^53-1 (RFC 9110 8.6). */
export function parseDecimal(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end || end - start > 16) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const octet = bytes[i]!;
    if (!isDigit(octet)) return -1;
    value = value * 10 + (octet - DIGIT_0);
  }
  return Number.isSafeInteger(value) ? value : -1;
}
