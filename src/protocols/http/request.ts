import { type BlockAnswers, type BlockLimits, FieldBlock, lineFeed, scanFields } from "./field-block.ts";
import { ascii, CR, isDigit, LF, SP, TARGET, TOKEN } from "./octets.ts";
import { NEED_MORE, Refused } from "./refusal.ts";
import { judgeRequest } from "./request-fields.ts";
import { Form, isAuthorityWithPort, splitTarget, TargetParts } from "./target.ts";

/** Bounds of a request's head. Sizes in bytes. */
export interface RequestLimits extends BlockLimits {
  readonly target: number;
}

export const Method = {
  OTHER: 0,
  GET: 1,
  HEAD: 2,
  POST: 3,
  PUT: 4,
  DELETE: 5,
  OPTIONS: 6,
  TRACE: 7,
  CONNECT: 8,
} as const;
const methodNames = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"].map(ascii);
/** RFC 9110 9.2.2; by `Method`. */
const IDEMPOTENT = [false, true, true, false, true, true, true, true, false];
/** May a request of this method be sent twice (RFC 9110 9.2.2)? */
export const isIdempotent = (method: number): boolean => IDEMPOTENT[method]!;

const METHOD_LENGTH = 32;
/** Method, two SP and the version: what a request line has beside its target. */
const LINE_EXTRA = METHOD_LENGTH + 16;

/**
 * A request's head as offsets into the bytes it was parsed from. One object is used over and over by a worker; what it
 * says holds until the next parse.
 */
export class RequestHead {
  readonly fields: FieldBlock;
  readonly target = new TargetParts();
  method = 0;
  methodStart = 0;
  methodEnd = 0;
  /** 0 or 1: HTTP/1.minor. */
  minor = 1;
  /** The effective host: of an absolute target, else of Host; -1 when an HTTP/1.0 client sent none. */
  hostStart = -1;
  hostEnd = -1;
  /** Content-Length, -1 when there is none. */
  length = -1;
  chunked = false;
  /** The client wants the connection closed after this (always true for HTTP/1.0: RFC 9112 9.3). */
  close = false;
  expect = false;
  /** Index of the Upgrade field when the client offers one rightly (HTTP/1.1, nominated, no body); -1 otherwise. */
  upgrade = -1;
  /** -1: none. */
  maxForwards = -1;

  constructor(limits: Pick<RequestLimits, "fields">) {
    this.fields = new FieldBlock(limits.fields);
  }
}

const HEAD = ascii("HEAD ");

/** Does a HEAD begin at `start`, whatever follows? The refusal of one has no content either (RFC 9110 9.3.2). */
export function beginsHead(bytes: Buffer, start: number): boolean {
  const at = bytes[start] === CR ? start + 2 : start;
  return HEAD.equals(bytes.subarray(at, at + HEAD.length));
}

const answers: BlockAnswers = { malformed: Refused.FIELD, tooLarge: Refused.HEAD_LARGE };

/**
 * Reads one request head (RFC 9112 2 to 6) from `bytes[start, end)`. Strict: what is ambiguous is refused. The answer
 * depends on the bytes only, not on how they were cut: lines are judged whole and in order.
 * @returns offset of the first byte after the head; NEED_MORE; or a `Refused` number. Never throws.
 */
export function parseRequest(
  bytes: Buffer,
  start: number,
  end: number,
  limits: RequestLimits,
  head: RequestHead,
): number {
  let at = start;
  // One empty line before a request is forgiven (RFC 9112 2.2).
  if (at < end && bytes[at] === CR) {
    if (at + 1 >= end) return NEED_MORE;
    if (bytes[at + 1] !== LF) return Refused.LINE;
    at += 2;
  }
  if (at >= end) return NEED_MORE;
  if (TOKEN[bytes[at]!] !== 1) return Refused.LINE;
  const fields = requestLine(bytes, at, end, limits, head);
  if (fields <= 0) return fields;
  const body = scanFields(bytes, at, fields, end, head.fields, limits, answers);
  if (body <= 0) return body;
  const verdict = judgeRequest(bytes, head);
  return verdict < 0 ? verdict : body;
}

/** @returns offset of the first field line, NEED_MORE or a refusal. */
function requestLine(bytes: Buffer, start: number, end: number, limits: RequestLimits, head: RequestHead): number {
  let i = start;
  while (i < end && TOKEN[bytes[i]!] === 1) i++;
  const methodEnd = i;
  const target = i + 1;
  if (i < end && bytes[i] === SP) {
    i++;
    while (i < end && TARGET[bytes[i]!] === 1) i++;
  }
  const targetEnd = i;
  // " HTTP/1.x" CR LF
  if (
    i + 11 > end ||
    i <= target ||
    i + 11 - start > limits.target + LINE_EXTRA ||
    methodEnd - start > METHOD_LENGTH ||
    targetEnd - target > limits.target ||
    !isVersion1(bytes, i)
  )
    return wrongLine(bytes, start, methodEnd, end, limits);
  head.methodStart = start;
  head.methodEnd = methodEnd;
  head.method = methodOf(bytes, start, methodEnd);
  head.minor = bytes[i + 8] === 48 ? 0 : 1;
  const verdict = judgeTarget(bytes, target, targetEnd, head);
  return verdict < 0 ? verdict : i + 11;
}

function isVersion1(bytes: Buffer, i: number): boolean {
  return (
    bytes[i] === SP &&
    bytes[i + 1] === 72 &&
    bytes[i + 2] === 84 &&
    bytes[i + 3] === 84 &&
    bytes[i + 4] === 80 &&
    bytes[i + 5] === 47 &&
    bytes[i + 6] === 49 &&
    bytes[i + 7] === 46 &&
    isDigit(bytes[i + 8]!) &&
    bytes[i + 9] === CR &&
    bytes[i + 10] === LF
  );
}

/** The request line is not good as far as it goes: which error it is, the whole line tells. */
function wrongLine(bytes: Buffer, start: number, methodEnd: number, end: number, limits: RequestLimits): number {
  const feed = lineFeed(bytes, start, end);
  const most = limits.target + LINE_EXTRA;
  if (feed < 0) return end - start > most ? Refused.TARGET_LONG : NEED_MORE;
  if (feed + 1 - start > most) return Refused.TARGET_LONG;
  const line = bytes.toString("latin1", start, feed);
  const shape = /^([!-~]+) ([^ ]+) HTTP\/(\d)\.(\d)\r$/.exec(line);
  if (shape === null) return Refused.LINE;
  if (shape[3] !== "1") return Refused.VERSION;
  if (methodEnd - start > METHOD_LENGTH) return Refused.METHOD_LONG;
  return shape[2]!.length > limits.target ? Refused.TARGET_LONG : Refused.TARGET;
}

function methodOf(bytes: Buffer, start: number, end: number): number {
  // GET first: one comparison for most requests.
  if (end - start === 3 && bytes[start] === 71 && bytes[start + 1] === 69 && bytes[start + 2] === 84) return Method.GET;
  for (let m = 1; m < methodNames.length; m++) {
    const name = methodNames[m]!;
    if (name.length !== end - start) continue;
    let i = 0;
    while (i < name.length && bytes[start + i] === name[i]) i++;
    if (i === name.length) return m + 1;
  }
  return Method.OTHER;
}

function judgeTarget(bytes: Buffer, start: number, end: number, head: RequestHead): number {
  const { method, target } = head;
  if (method === Method.CONNECT) return isAuthorityWithPort(bytes, start, end) ? Refused.CONNECT : Refused.TARGET;
  if (method === Method.TRACE) return Refused.TRACE;
  if (!splitTarget(bytes, start, end, target)) return Refused.TARGET;
  return target.form === Form.ASTERISK && method !== Method.OPTIONS ? Refused.TARGET : 0;
}
