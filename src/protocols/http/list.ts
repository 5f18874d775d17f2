import { COMMA, HTAB, SP, TOKEN } from "./octets.ts";

/** The element that `nextToken` found. */
export const element = { start: 0, end: 0 };

/**
 * Next token of a comma list (RFC 9110 5.6.1); empty elements are skipped. Fills `element`.
 * @returns offset to go on from; -1 at the end of the list; -2 when an element is not a token.
 */
export function nextToken(bytes: Uint8Array, at: number, end: number): number {
  let i = at;
  while (i < end && (bytes[i] === COMMA || bytes[i] === SP || bytes[i] === HTAB)) i++;
  if (i >= end) return -1;
  element.start = i;
  while (i < end && TOKEN[bytes[i]!] === 1) i++;
  element.end = i;
  if (element.end === element.start) return -2;
  while (i < end && (bytes[i] === SP || bytes[i] === HTAB)) i++;
  return i < end && bytes[i] !== COMMA ? -2 : i;
}
