import { isIPv6 } from "node:net";
import { ASTERISK, ascii, COLON, HOST_NAME, isDigit, isWord, QUESTION, SLASH } from "./octets.ts";

/** The four forms of a request target (RFC 9112 3.2). */
export const Form = { ORIGIN: 1, ABSOLUTE: 2, AUTHORITY: 3, ASTERISK: 4 } as const;

const LEFT_BRACKET = 91;
const RIGHT_BRACKET = 93;
/** `::ffff:255.255.255.255`, written out. */
const LONGEST_IPV6 = 45;

/**
 * Is `bytes[start, end)` a valid `uri-host [":" port]` for http (RFC 9110 4.2.1, 7.2)? No user information, no empty
 * host, no port that is none. @returns offset where the host ends (at the colon, or `end`), -1 when invalid.
 */
export function hostEnd(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) return -1;
  let i = start;
  if (bytes[i] === LEFT_BRACKET) {
    i++;
    while (i < end && i - start <= LONGEST_IPV6 && bytes[i] !== RIGHT_BRACKET) i++;
    if (i >= end || bytes[i] !== RIGHT_BRACKET || !isIPv6Literal(bytes, start + 1, i)) return -1;
    i++;
  } else {
    while (i < end && HOST_NAME[bytes[i]!] === 1) i++;
    if (i === start) return -1;
  }
  const host = i;
  if (i === end) return host;
  return bytes[i] === COLON && end - i <= 6 && portAt(bytes, i + 1, end) >= 0 ? host : -1;
}

/** The port in `bytes[start, end)`, 0 when nothing stands there; -1 when it is none. */
function portAt(bytes: Uint8Array, start: number, end: number): number {
  let port = 0;
  for (let i = start; i < end; i++) {
    if (!isDigit(bytes[i]!)) return -1;
    port = port * 10 + (bytes[i]! - 48);
  }
  return port > 65535 ? -1 : port;
}

/** Without a zone, which means nothing to another host (RFC 6874), and of no future version. */
function isIPv6Literal(bytes: Uint8Array, start: number, end: number): boolean {
  const text = String.fromCharCode(...bytes.subarray(start, end));
  return isIPv6(text) && !text.includes("%");
}

/** Has `bytes[start, end)` the shape `host:port`, port not empty (RFC 9110 9.3.6)? */
export function isAuthorityWithPort(bytes: Uint8Array, start: number, end: number): boolean {
  const host = hostEnd(bytes, start, end);
  return host >= 0 && portAt(bytes, host + 1, end) >= 1;
}

const http = ascii("http://");
const https = ascii("https://");

/** Where a target's parts lie; one is used over and over. */
export class TargetParts {
  form = 0;
  /** Authority of an absolute-form target; -1 otherwise. */
  hostStart = -1;
  hostEnd = -1;
  /** Path and query to forward; empty means `/` (or `*` for OPTIONS). */
  pathStart = 0;
  pathEnd = 0;
}

/** Splits a target whose octets are already known to be in class; false when its form is wrong. */
export function splitTarget(bytes: Uint8Array, start: number, end: number, out: TargetParts): boolean {
  out.hostStart = -1;
  out.hostEnd = -1;
  out.pathStart = start;
  out.pathEnd = end;
  if (bytes[start] === SLASH) {
    out.form = Form.ORIGIN;
    return true;
  }
  if (end - start === 1 && bytes[start] === ASTERISK) {
    out.form = Form.ASTERISK;
    return true;
  }
  const scheme = isWord(bytes, start, start + http.length, http)
    ? http.length
    : isWord(bytes, start, start + https.length, https)
      ? https.length
      : 0;
  if (scheme === 0 || start + scheme >= end) return false;
  let i = start + scheme;
  while (i < end && bytes[i] !== SLASH && bytes[i] !== QUESTION) i++;
  if (hostEnd(bytes, start + scheme, i) < 0) return false;
  out.form = Form.ABSOLUTE;
  out.hostStart = start + scheme;
  out.hostEnd = i;
  out.pathStart = i;
  return true;
}
