import { ChunkedReader } from "./chunked.ts";
import { ascii } from "./octets.ts";
import { NEED_MORE, refusalOf } from "./refusal.ts";
import { parseRequest, RequestHead, type RequestLimits } from "./request.ts";
import { parseResponse, ResponseHead } from "./response.ts";

/** What the tests of the codec share: whole parses and parses of cut input, as comparable text. */

export const LIMITS: RequestLimits = { size: 2048, fields: 20, target: 256 };

/** The answer to a request head that arrives in these pieces: `status why`, `need more`, or what was read. */
export function requestVerdict(pieces: readonly Buffer[], limits = LIMITS): string {
  const head = new RequestHead(limits);
  let bytes = Buffer.alloc(0);
  for (const piece of pieces) {
    bytes = Buffer.concat([bytes, piece]);
    const end = parseRequest(bytes, 0, bytes.length, limits, head);
    if (end === NEED_MORE) continue;
    if (end < 0) return `${refusalOf(end).status} ${refusalOf(end).why}`;
    const { method, minor, length, chunked, close, expect, upgrade, fields, target } = head;
    const host = bytes.toString("latin1", head.hostStart, head.hostEnd);
    const path = bytes.toString("latin1", target.pathStart, target.pathEnd);
    const kept = [...fields.drop.subarray(0, fields.count)].join("");
    return JSON.stringify({ end, method, minor, host, path, length, chunked, close, expect, upgrade, kept });
  }
  return "need more";
}

/** The same for a response to a GET (or HEAD). */
export function responseVerdict(pieces: readonly Buffer[], isHead = false): string {
  const head = new ResponseHead({ fields: LIMITS.fields });
  let bytes = Buffer.alloc(0);
  for (const piece of pieces) {
    bytes = Buffer.concat([bytes, piece]);
    const end = parseResponse(bytes, 0, bytes.length, LIMITS, { isHead }, head);
    if (end === NEED_MORE) continue;
    if (end < 0) return refusalOf(end).why;
    const { status, minor, framing, length, keepAlive, fields } = head;
    const kept = [...fields.drop.subarray(0, fields.count)].join("");
    return JSON.stringify({ end, status, minor, framing, length, keepAlive, kept });
  }
  return "need more";
}

/** What a chunked body that arrives in these pieces is passed on as, and how it ended. */
export function chunkedVerdict(pieces: readonly Buffer[], frames: boolean): { out: string; end: string } {
  const reader = new ChunkedReader().reset(frames, null);
  let out = "";
  for (const [i, piece] of pieces.entries()) {
    const to = reader.feed(piece, 0, piece.length);
    if (to < 0) return { out: "", end: "malformed" };
    for (let k = 0; k < reader.count; k += 2) out += piece.toString("latin1", reader.ranges[k], reader.ranges[k + 1]);
    out += reader.tail?.toString("latin1") ?? "";
    if (reader.done) {
      const rest = piece.length - to + pieces.slice(i + 1).reduce((sum, { length }) => sum + length, 0);
      return { out, end: `done, ${rest} left, ${reader.total} data` };
    }
  }
  return { out, end: "need more" };
}

/** `text` cut at these places (any numbers; taken modulo its length). */
export function cut(text: string, places: readonly number[]): Buffer[] {
  const bytes = ascii(text);
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  const ends = [...at, bytes.length];
  return ends.map((end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1], end)).filter(({ length }) => length > 0);
}

export const byteByByte = (text: string): Buffer[] => [...text].map(ascii);
