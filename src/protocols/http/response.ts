import { Option, readConnection } from "./connection.ts";
import { type BlockAnswers, type BlockLimits, FieldBlock, scanFields, unfinished } from "./field-block.ts";
import { Field } from "./fields.ts";
import { ascii, CR, isDigit, isWord, LF, parseDecimal, SP, VALUE } from "./octets.ts";
import { Broken } from "./refusal.ts";

/** How the body of a response ends (RFC 9112 6.3). */
export const Framing = { NONE: 0, LENGTH: 1, CHUNKED: 2, CLOSE: 3 } as const;

/** What the response answers; its framing hangs on it. */
export interface Asked {
  /** The request was a HEAD. */
  readonly isHead: boolean;
}

/** A response's head as offsets; one object is used over and over. */
export class ResponseHead {
  readonly fields: FieldBlock;
  status = 0;
  /** Offset of the three status digits, and of the end of the reason. */
  statusStart = 0;
  reasonEnd = 0;
  minor = 1;
  framing: number = Framing.NONE;
  /** Content-Length as sent, -1 when there is none. */
  length = -1;
  /** The backend keeps the connection open. */
  keepAlive = false;
  /** Index of the Upgrade field, -1 when there is none. */
  upgrade = -1;
  hasDate = false;

  constructor(limits: Pick<BlockLimits, "fields">) {
    this.fields = new FieldBlock(limits.fields);
  }
}

const lineAnswers: BlockAnswers = { malformed: Broken.LINE, tooLarge: Broken.HEAD_LARGE };
const answers: BlockAnswers = { malformed: Broken.FIELD, tooLarge: Broken.HEAD_LARGE };
const PREFIX = ascii("HTTP/1.");

/**
 * Reads one response head (RFC 9112 4 to 6) from `bytes[start, end)` and decides its framing.
 * @returns offset after the head; NEED_MORE; or a `Broken` number. Never throws.
 */
export function parseResponse(
  bytes: Buffer,
  start: number,
  end: number,
  limits: BlockLimits,
  asked: Asked,
  head: ResponseHead,
): number {
  let i = start;
  while (i < end && i - start < 7) {
    if (bytes[i] !== PREFIX[i - start]) return Broken.LINE;
    i++;
  }
  // "x SSS" and at least one octet after it
  if (i + 6 > end || !isStatus(bytes, i)) return unfinished(bytes, i, start, end, limits, lineAnswers);
  head.minor = bytes[i] === 48 ? 0 : 1;
  i += 2;
  head.statusStart = i;
  head.status = (bytes[i]! - 48) * 100 + (bytes[i + 1]! - 48) * 10 + (bytes[i + 2]! - 48);
  i += 3;
  if (bytes[i] === SP) while (i < end && VALUE[bytes[i]!] === 1) i++;
  if (i + 1 >= end || bytes[i] !== CR || bytes[i + 1] !== LF)
    return unfinished(bytes, i, start, end, limits, lineAnswers);
  head.reasonEnd = i;
  const after = scanFields(bytes, start, i + 2, end, head.fields, limits, answers);
  if (after <= 0) return after;
  const verdict = judgeResponse(bytes, head, asked);
  return verdict < 0 ? verdict : after;
}

function isStatus(bytes: Buffer, i: number): boolean {
  return (
    isDigit(bytes[i]!) &&
    bytes[i + 1] === SP &&
    bytes[i + 2]! >= 49 &&
    bytes[i + 2]! <= 57 &&
    isDigit(bytes[i + 3]!) &&
    isDigit(bytes[i + 4]!)
  );
}

const chunked = ascii("chunked");

/** Which fields end here, and how long the body is. @returns 0, or a `Broken` number. */
function judgeResponse(bytes: Buffer, head: ResponseHead, asked: Asked): number {
  const block = head.fields;
  const { id, value, valueEnd, drop } = block;
  head.length = -1;
  head.upgrade = -1;
  head.hasDate = false;
  let options = 0;
  let coded = false;
  for (let k = 0; k < block.count; k++) {
    const what = id[k]!;
    if (what === Field.OTHER) continue;
    if (what === Field.CONTENT_LENGTH) {
      if (head.length >= 0) return Broken.LENGTH;
      head.length = parseDecimal(bytes, value[k]!, valueEnd[k]!);
      if (head.length < 0) return Broken.LENGTH;
    } else if (what === Field.TRANSFER_ENCODING) {
      if (coded || head.minor === 0 || !isWord(bytes, value[k]!, valueEnd[k]!, chunked)) return Broken.CODING;
      coded = true;
      drop[k] = 1;
    } else if (what === Field.CONNECTION) {
      const more = readConnection(bytes, block, k);
      if (more < 0) return Broken.CONNECTION;
      options |= more;
      drop[k] = 1;
    } else if (what === Field.UPGRADE) {
      head.upgrade = k;
      // An offer ends at this hop; 101 and 426 are about this very request and keep it.
      if (head.status !== 101 && head.status !== 426) drop[k] = 1;
    } else if (what === Field.DATE) head.hasDate = true;
    else if (what === Field.KEEP_ALIVE || what === Field.PROXY_CONNECTION || what === Field.TE || what === Field.ALIAS)
      drop[k] = 1;
  }
  if (coded && head.length >= 0) return Broken.LENGTH_AND_CODING;
  head.keepAlive = (options & Option.CLOSE) === 0 && (head.minor === 1 || (options & Option.KEEP_ALIVE) !== 0);
  frame(head, asked, coded);
  return 0;
}

/** RFC 9112 6.3, in its order. */
function frame(head: ResponseHead, asked: Asked, coded: boolean): void {
  const { status } = head;
  if (status < 200 || status === 204 || status === 205 || status === 304 || asked.isHead) {
    head.framing = Framing.NONE;
    // A body must not be here; if the backend sends one all the same, it must not meet the next request.
    if (status === 204 && (coded || head.length > 0)) head.keepAlive = false;
    // Here one may be read as the next response by who knows that there is none (RFC 9110 15.3.6).
    if (status === 205 && head.length !== 0 && !asked.isHead) head.keepAlive = false;
    if (status < 200 || status === 204 || status === 205) dropLength(head);
  } else if (coded) head.framing = Framing.CHUNKED;
  else if (head.length >= 0) head.framing = head.length === 0 ? Framing.NONE : Framing.LENGTH;
  else {
    head.framing = Framing.CLOSE;
    head.keepAlive = false;
  }
}

/** No Content-Length in 1xx and 204 (RFC 9110 8.6); that of a 205 is ours. */
function dropLength(head: ResponseHead): void {
  const { fields } = head;
  for (let k = 0; k < fields.count; k++) if (fields.id[k] === Field.CONTENT_LENGTH) fields.drop[k] = 1;
}
