import type { FieldBlock } from "./field-block.ts";
import { Field } from "./fields.ts";
import { ascii, BACKSLASH, COMMA, DIGIT_1, HTAB, SP } from "./octets.ts";
import { Method, type RequestHead } from "./request.ts";
import { Framing, type ResponseHead } from "./response.ts";
import { Form } from "./target.ts";

/** Up to so many bytes a loop is cheaper than a call. */
const SHORT = 12;

/** Copies `bytes[start, end)`; @returns the offset after it. */
export function put(out: Buffer, at: number, bytes: Buffer, start: number, end: number): number {
  if (end - start > SHORT) bytes.copy(out, at, start, end);
  else for (let i = start, to = at; i < end; i++) out[to++] = bytes[i]!;
  return at + (end - start);
}

export const putAll = (out: Buffer, at: number, bytes: Buffer): number => put(out, at, bytes, 0, bytes.length);

/** Copies the lines that are not dropped, run by run. `from`: what stands before the first line goes along; -1: nothing. */
function putFields(out: Buffer, at: number, bytes: Buffer, block: FieldBlock, from: number): number {
  const { name, drop, count } = block;
  let start = from;
  for (let k = 0; k < count; k++) {
    if (drop[k] === 0) {
      if (start < 0) start = name[k]!;
    } else if (start >= 0) {
      at = put(out, at, bytes, start, name[k]!);
      start = -1;
    }
  }
  return start < 0 ? at : put(out, at, bytes, start, name[count]!);
}

function putNumber(out: Buffer, at: number, value: number): number {
  return at + out.write(String(value), at, "latin1");
}

/** What a gateway writes into the requests of one client. */
export interface RequestTail {
  /** `Via` and `X-Forwarded-Proto` lines for an HTTP/1.1 and an HTTP/1.0 client. */
  readonly lines: readonly [http10: Buffer, http11: Buffer];
  /** The client's address; and its X-Forwarded-For line. */
  readonly address: Buffer;
  readonly forwardedFor: Buffer;
  /** Take the client's own X-Forwarded-* and Forwarded as true, and add to them. */
  readonly trusted: boolean;
  /** Host for an HTTP/1.0 client that sent none. */
  readonly host: Buffer;
  /** Our element of Forwarded (RFC 7239 4), without its host. */
  readonly element: Buffer;
  /** Write Forwarded also where no trusted client has begun one. */
  readonly forwarded: boolean;
}

const HTTP11 = ascii(" HTTP/1.1\r\n");
const HOST = ascii("Host: ");
const FORWARDED_FOR = ascii("X-Forwarded-For: ");
const FORWARDED_HOST = ascii("X-Forwarded-Host: ");
const PROTO_HTTP = ascii("X-Forwarded-Proto: http\r\n");
const FORWARDED = ascii("Forwarded: ");
const ELEMENT_HOST = ascii(';host="');
const QUOTE = ascii('"');
const UPGRADE = ascii("Connection: upgrade\r\n");
const CHUNKED = ascii("Transfer-Encoding: chunked\r\n");
const MAX_FORWARDS = ascii("Max-Forwards: ");
const LIST = ascii(", ");
const CRLF = ascii("\r\n");
const STAR = ascii("*");
const ROOT = ascii("/");

/**
 * Writes the request as the next hop gets it (RFC 9110 7.6; RFC 9112 3.2): origin-form, version 1.1, one Host,
 * without hop-by-hop fields, with Via and X-Forwarded-*. `upgrade`: offer the client's upgrade on. `extra`: more lines.
 * `instead`: path and query to ask for; null: those of the request.
 * @returns offset after the head; beyond the end of `out` when that had no room for all of it. The host goes into up to
 * three fields.
 */
export function writeRequest(
  out: Buffer,
  at: number,
  bytes: Buffer,
  head: RequestHead,
  tail: RequestTail,
  upgrade: boolean,
  extra: Buffer | null = null,
  instead: Buffer | null = null,
): number {
  const { fields, target } = head;
  const asItIs = instead === null && isPlain(bytes, head);
  if (!asItIs) {
    at = put(out, at, bytes, head.methodStart, head.methodEnd);
    out[at++] = SP;
    at = instead === null ? putTarget(out, at, bytes, head) : putAll(out, at, instead);
    at = putAll(out, at, HTTP11);
  }
  // A Host line of ours comes first; one of the client's stays where it is.
  if (target.form === Form.ABSOLUTE) at = putLine(out, at, HOST, bytes, head.hostStart, head.hostEnd);
  else if (head.hostStart < 0) at = putLine(out, at, HOST, tail.host, 0, tail.host.length);
  if (head.maxForwards > 0 && head.method === Method.OPTIONS) dropAll(fields, Field.MAX_FORWARDS);
  if (!tail.trusted) dropForwarded(fields);
  let forwardedFor = -1;
  let forwardedHost = -1;
  let forwarded = -1;
  if (tail.trusted) {
    forwardedFor = fields.find(Field.X_FORWARDED_FOR);
    forwardedHost = fields.find(Field.X_FORWARDED_HOST);
    forwarded = fields.find(Field.FORWARDED);
    dropAll(fields, Field.X_FORWARDED_FOR);
    dropAll(fields, Field.FORWARDED);
  }
  at = putFields(out, at, bytes, fields, asItIs ? head.methodStart : -1);
  if (head.chunked) at = putAll(out, at, CHUNKED);
  if (head.maxForwards > 0 && head.method === Method.OPTIONS) {
    at = putNumber(out, putAll(out, at, MAX_FORWARDS), head.maxForwards - 1);
    at = putAll(out, at, CRLF);
  }
  if (forwardedFor < 0) at = putAll(out, at, tail.forwardedFor);
  else {
    at = putValues(out, putAll(out, at, FORWARDED_FOR), bytes, fields, Field.X_FORWARDED_FOR);
    at = putAll(out, putAll(out, at, tail.address), CRLF);
  }
  if (forwardedHost < 0 && head.hostStart >= 0)
    at = putLine(out, at, FORWARDED_HOST, bytes, head.hostStart, head.hostEnd);
  if (tail.trusted && fields.find(Field.X_FORWARDED_PROTO) < 0) at = putAll(out, at, PROTO_HTTP);
  if (tail.forwarded || forwarded >= 0) at = putForwarded(out, at, bytes, head, tail, forwarded >= 0);
  at = putAll(out, at, tail.lines[head.minor as 0 | 1]);
  if (upgrade) {
    at = put(out, at, bytes, fields.name[head.upgrade]!, fields.name[head.upgrade + 1]!);
    at = putAll(out, at, UPGRADE);
  }
  if (extra !== null) at = putAll(out, at, extra);
  return putAll(out, at, CRLF);
}

/** May the request line go on as it came: in origin-form, of version 1.1, before a Host of the client's? */
function isPlain(bytes: Buffer, { target, fields, hostStart }: RequestHead): boolean {
  const digit = fields.name[0]! - 3;
  return target.form === Form.ORIGIN && hostStart >= 0 && bytes[digit] === DIGIT_1;
}

/** Our element behind those that a trusted client sent. A host's characters all may stand in a quoted string. */
function putForwarded(
  out: Buffer,
  at: number,
  bytes: Buffer,
  head: RequestHead,
  tail: RequestTail,
  begun: boolean,
): number {
  at = putAll(out, at, FORWARDED);
  if (begun) at = putValues(out, at, bytes, head.fields, Field.FORWARDED);
  at = putAll(out, at, tail.element);
  if (head.hostStart >= 0) {
    at = put(out, putAll(out, at, ELEMENT_HOST), bytes, head.hostStart, head.hostEnd);
    at = putAll(out, at, QUOTE);
  }
  return putAll(out, at, CRLF);
}

function putLine(out: Buffer, at: number, name: Buffer, bytes: Buffer, start: number, end: number): number {
  at = put(out, putAll(out, at, name), bytes, start, end);
  return putAll(out, at, CRLF);
}

function putTarget(out: Buffer, at: number, bytes: Buffer, head: RequestHead): number {
  const { form, pathStart, pathEnd } = head.target;
  if (pathStart === pathEnd) return putAll(out, at, head.method === Method.OPTIONS ? STAR : ROOT);
  // `http://host?query` has no path; its origin-form is `/?query`.
  if (form === Form.ABSOLUTE && bytes[pathStart] !== ROOT[0]) at = putAll(out, at, ROOT);
  return put(out, at, bytes, pathStart, pathEnd);
}

function dropAll(fields: FieldBlock, id: number): void {
  for (let k = 0; k < fields.count; k++) if (fields.id[k] === id) fields.drop[k] = 1;
}

function dropForwarded(fields: FieldBlock): void {
  for (let k = 0; k < fields.count; k++) {
    const id = fields.id[k]!;
    if ((id >= Field.X_FORWARDED_FOR && id <= Field.FORWARDED) || id === Field.X_FORWARDED_PORT) fields.drop[k] = 1;
  }
}

/** The elements of all lines of one id as one list, each followed by a comma. */
function putValues(out: Buffer, at: number, bytes: Buffer, fields: FieldBlock, id: number): number {
  for (let k = 0; k < fields.count; k++)
    if (fields.id[k] === id) at = putElements(out, at, bytes, fields.value[k]!, fields.valueEnd[k]!);
  return at;
}

/** Those of one line: an empty one leaves nothing (RFC 9110 5.6.1), nor does one whose quotes would run on into ours. */
function putElements(out: Buffer, at: number, bytes: Buffer, from: number, to: number): number {
  let start = from;
  let quoted = false;
  for (let i = from; i <= to; i++) {
    if (i < to && quoted && bytes[i] === BACKSLASH) i++;
    else if (i < to && bytes[i] === QUOTE[0]) quoted = !quoted;
    else if (i === to || (bytes[i] === COMMA && !quoted)) {
      let stop = i;
      while (start < stop && isBlank(bytes[start]!)) start++;
      while (stop > start && isBlank(bytes[stop - 1]!)) stop--;
      if (stop > start && !quoted) at = putAll(out, put(out, at, bytes, start, stop), LIST);
      start = i + 1;
    }
  }
  return at;
}

const isBlank = (octet: number): boolean => octet === SP || octet === HTAB;

const STATUS_LINE = ascii("HTTP/1.1 ");
const CLOSE = ascii("Connection: close\r\n");
const CLOSE_UPGRADE = ascii("Connection: close, upgrade\r\n");
const EMPTY = ascii("Content-Length: 0\r\n");

/** How a response goes on to its client. */
export interface ResponseEdit {
  /** Say that the connection closes after it. */
  close: boolean;
  /** Announce chunked framing. */
  chunked: boolean;
  /** A `Date: …` line for a response that has none (RFC 9110 6.6.1). */
  date: Buffer;
  /** More lines. */
  extra?: Buffer | null;
}

/**
 * Writes the response head as the client gets it: version 1.1, SP after the status even without a reason (RFC 9112 4),
 * without hop-by-hop fields. @returns offset after the head.
 */
export function writeResponse(out: Buffer, at: number, bytes: Buffer, head: ResponseHead, edit: ResponseEdit): number {
  const { statusStart, reasonEnd } = head;
  const asItIs = bytes[statusStart - 2] === DIGIT_1 && bytes[statusStart + 3] === SP;
  if (!asItIs) {
    at = putAll(out, at, STATUS_LINE);
    at = put(out, at, bytes, statusStart, statusStart + 3);
    out[at++] = SP;
    if (reasonEnd > statusStart + 4) at = put(out, at, bytes, statusStart + 4, reasonEnd);
    at = putAll(out, at, CRLF);
  }
  at = putFields(out, at, bytes, head.fields, asItIs ? statusStart - STATUS_LINE.length : -1);
  if (!head.hasDate && head.status >= 200) at = putAll(out, at, edit.date);
  if (edit.chunked && head.framing === Framing.CHUNKED) at = putAll(out, at, CHUNKED);
  if (head.status === 205) at = putAll(out, at, EMPTY);
  if (edit.extra) at = putAll(out, at, edit.extra);
  // Who sends Upgrade says so (RFC 9110 7.8).
  const upgrade = head.status === 101 || (head.status === 426 && head.upgrade >= 0);
  if (edit.close && head.status !== 101) at = putAll(out, at, upgrade ? CLOSE_UPGRADE : CLOSE);
  else if (upgrade) at = putAll(out, at, UPGRADE);
  return putAll(out, at, CRLF);
}
