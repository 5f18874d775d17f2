import { WHOLE_COOKIE } from "./cookie.ts";
import type { Explanation } from "./explanation.ts";
import { foldOctet, hashLabel, ROOT_HASH } from "./name.ts";
import { Flag, HEADER, MAX_LABEL, MAX_NAME, Opcode, Option, Type } from "./numbers.ts";

/**
 * What became of a message. `drop`: no answer must be sent (too short for a header, or itself a response). `notimp`:
 * another operation than QUERY. `formerr`: malformed or ambiguous; the question is echoed when `question` says it was
 * read. `badvers`: EDNS of a later version. `cookie`: no question, only a cookie. `query`: answer it.
 */
export type Verdict = "drop" | "notimp" | "formerr" | "badvers" | "cookie" | "query";

/** Most labels a name can have: 127 of one octet. */
const MAX_LABELS = 127;

/**
 * One parsed query. An object is made once and filled again for every message; nothing is allocated while parsing.
 * Offsets are into `bytes`; the question's name begins at octet 12.
 */
export class Query {
  bytes: Uint8Array = new Uint8Array(HEADER);
  id = 0;
  /** The header's second 16-bit word as received. */
  flags = 0;
  /** Was the question read whole? */
  question = false;
  type = 0;
  class = 0;
  /** After the root label. */
  nameEnd = HEADER;
  labels = 0;
  /** Where each label begins. */
  readonly labelAt = new Uint16Array(MAX_LABELS);
  /** Hash of the name that begins at each label (`hashName`). */
  readonly hashAt = new Int32Array(MAX_LABELS);
  edns = false;
  /** The client's UDP size as sent. */
  udpSize = 0;
  version = 0;
  dnssecOk = false;
  /** Does the client take NXDOMAIN beside a compact denial (CO, RFC 9824 5.1)? */
  compactOk = false;
  /** Did the client ask for the server's id (RFC 5001), or for the TCP keepalive time (RFC 7828)? */
  nsid = false;
  keepalive = false;
  /** Where the client's cookie begins, and its octets with the server's part; 0: it sent none (RFC 7873). */
  cookieAt = 0;
  cookieLength = 0;
  /** The cookie that the answer carries, when `answerCookie`. */
  readonly cookie = new Uint8Array(WHOLE_COOKIE);
  answerCookie = false;
  /**
   * Where the data of the client subnet option begins, and its octets (RFC 7871); 0: there is none. `readSubnet` judges it;
   * of two nobody knows which one the answer would be for, so that their data has no octets.
   */
  subnetAt = 0;
  subnetLength = 0;
  /** Where the TSIG record begins; 0: there is none (RFC 8945). */
  tsigAt = 0;
  /** Octets that the answer leaves free at its end, for the TSIG of its own. */
  reserved = 0;
  /** Does the answer carry it, and how many bits of the client's address decided the answer? */
  answerSubnet = false;
  scope = 0;

  /** The question's name, lower case. Allocates: not for the way most queries go. */
  name(): Uint8Array {
    return this.bytes.slice(HEADER, this.nameEnd).map(foldOctet);
  }

  /** Why the answer is none, for people (RFC 8914); null: nothing is said. */
  explained: Explanation | null = null;

  reset(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.explained = null;
    this.question =
      this.answerCookie =
      this.answerSubnet =
      this.edns =
      this.dnssecOk =
      this.compactOk =
      this.nsid =
      this.keepalive =
        false;
    this.labels =
      this.tsigAt =
      this.reserved =
      this.cookieLength =
      this.subnetAt =
      this.subnetLength =
      this.scope =
      this.version =
      this.udpSize =
      this.type =
      this.class =
        0;
    this.nameEnd = HEADER;
  }
}

/**
 * Reads `bytes[0..length)` into `query`. Strict (RFC 1035 4.1, 9619): one question, no answer or authority records, no
 * pointer in the question, at most one OPT (RFC 6891 6.1.1), nothing after the last record. Never throws; the work is
 * bounded by `length`.
 */
export function parseQuery(query: Query, bytes: Uint8Array, length: number): Verdict {
  query.reset(bytes);
  if (length < HEADER) return "drop";
  query.id = (bytes[0]! << 8) | bytes[1]!;
  query.flags = (bytes[2]! << 8) | bytes[3]!;
  if ((query.flags & Flag.QR) !== 0) return "drop";
  if (((query.flags >> 11) & 15) !== Opcode.QUERY) return "notimp";
  if (u16(bytes, 4) === 0 && u16(bytes, 6) === 0 && u16(bytes, 8) === 0 && u16(bytes, 10) === 1)
    return cookieOnly(query, bytes, length);
  if (u16(bytes, 4) !== 1 || !readQuestion(query, bytes, length)) return "formerr";
  // An incremental transfer carries its SOA in the authority section (RFC 1995 3); it is refused all the same.
  const authority = u16(bytes, 8);
  if (u16(bytes, 6) !== 0 || (authority !== 0 && query.type !== Type.IXFR)) return "formerr";
  const records = authority + u16(bytes, 10);
  if (records === 0) return query.nameEnd + 4 === length ? "query" : "formerr";
  if (!readRecords(query, bytes, length, records, query.nameEnd + 4, authority)) return "formerr";
  return query.version > 0 ? "badvers" : "query";
}

/** No question, but a cookie: a client that only wants the server's (RFC 7873 5.4). Anything else is malformed. */
function cookieOnly(query: Query, bytes: Uint8Array, length: number): Verdict {
  if (!readRecords(query, bytes, length, 1, HEADER)) return "formerr";
  if (query.version > 0) return "badvers";
  return query.cookieLength > 0 ? "cookie" : "formerr";
}

function readQuestion(query: Query, bytes: Uint8Array, length: number): boolean {
  let at = HEADER;
  let labels = 0;
  while (true) {
    if (at >= length) return false;
    const size = bytes[at]!;
    if (size === 0) break;
    if (size > MAX_LABEL) return false;
    query.labelAt[labels++] = at;
    at += size + 1;
    if (at - HEADER >= MAX_NAME) return false;
  }
  at++;
  if (at + 4 > length) return false;
  let hash = ROOT_HASH;
  for (let i = labels - 1; i >= 0; i--) {
    hash = hashLabel(bytes, query.labelAt[i]!, hash);
    query.hashAt[i] = hash;
  }
  query.labels = labels;
  query.nameEnd = at;
  query.type = u16(bytes, at);
  query.class = u16(bytes, at + 2);
  query.question = true;
  return true;
}

/** Reads `count` records that begin at `start`; the first `authority` of them are those of that section. */
function readRecords(
  query: Query,
  bytes: Uint8Array,
  length: number,
  count: number,
  start: number,
  authority = 0,
): boolean {
  let at = start;
  for (let i = 0; i < count; i++) {
    const owner = at;
    at = skipName(bytes, at, length);
    if (at === -1 || at + 10 > length) return false;
    const type = u16(bytes, at);
    const dataEnd = at + 10 + u16(bytes, at + 8);
    if (dataEnd > length) return false;
    // Those two are additional, or nothing (RFC 6891 6.1.1, RFC 8945 5.1).
    if (i < authority && (type === Type.OPT || type === Type.TSIG)) return false;
    if (type === Type.OPT) {
      if (query.edns || bytes[owner] !== 0) return false;
      readFixed(query, bytes, at);
      // What options look like is this version's to say (RFC 6891 6.1.3).
      if (!readOptions(query, bytes, at + 10, dataEnd) && query.version === 0) return false;
    }
    // The last record of all, or nobody knows what it signs (RFC 8945 5.1).
    if (type === Type.TSIG) {
      if (i !== count - 1) return false;
      query.tsigAt = owner;
    }
    at = dataEnd;
  }
  return at === length;
}

/** A record of a message: where its name begins and ends, and where it ends itself. */
interface Place {
  at: number;
  nameEnd: number;
  end: number;
  type: number;
}

/** The records of a message, whatever it is, as far as the counts lead and can be followed. */
function placesOf(bytes: Uint8Array, length: number): Place[] {
  const places: Place[] = [];
  let at = HEADER;
  for (let i = u16(bytes, 4); i > 0 && at !== -1; i--) {
    at = skipName(bytes, at, length);
    if (at !== -1) at += 4;
  }
  for (let i = u16(bytes, 6) + u16(bytes, 8) + u16(bytes, 10); i > 0 && at !== -1; i--) {
    const nameEnd = skipName(bytes, at, length);
    if (nameEnd === -1 || nameEnd + 10 > length) break;
    const end = nameEnd + 10 + u16(bytes, nameEnd + 8);
    places.push({ at, nameEnd, end, type: u16(bytes, nameEnd) });
    at = end;
  }
  return places;
}

const tsigIn = (places: readonly Place[], bytes: Uint8Array, length: number): number => {
  const first = places.findIndex(({ type }) => type === Type.TSIG);
  const last = u16(bytes, 6) + u16(bytes, 8) + u16(bytes, 10) - 1;
  return first >= 0 && first === last && places[first]!.end === length && u16(bytes, 10) > 0 ? places[first]!.at : 0;
};

/**
 * Where the TSIG record of a message begins. 0: there is none, or more than one, or it is not the last record, or the
 * counts do not lead to it.
 */
export const findTsig = (bytes: Uint8Array, length: number): number => tsigIn(placesOf(bytes, length), bytes, length);

/**
 * Reads what the answer hangs on of a message that is no query we know, of another operation or malformed: a TSIG is
 * judged all the same, and an OPT gets one (RFC 6891 6.1.1), by which the client tells what is malformed from a server
 * that knows no EDNS (RFC 6891 7).
 */
export function readStrange(query: Query, bytes: Uint8Array, length: number): void {
  const places = placesOf(bytes, length);
  query.tsigAt = tsigIn(places, bytes, length);
  const opt = places.find(({ type, at }) => type === Type.OPT && bytes[at] === 0);
  if (opt !== undefined && !query.edns) readFixed(query, bytes, opt.nameEnd);
}

/** The parts of OPT that have fixed places; `at`: of its type. */
function readFixed(query: Query, bytes: Uint8Array, at: number): void {
  query.edns = true;
  query.udpSize = u16(bytes, at + 2);
  query.version = bytes[at + 5]!;
  query.dnssecOk = (bytes[at + 6]! & 0x80) !== 0;
  query.compactOk = (bytes[at + 6]! & 0x40) !== 0;
}

/** Octet after the name at `at`, or -1. A pointer ends a name; where it leads does not matter here, so no loop can arise. */
export function skipName(bytes: Uint8Array, at: number, length: number): number {
  const start = at;
  while (at < length) {
    const size = bytes[at]!;
    if (size === 0) return at + 1;
    if (size >= 0xc0) return at + 2 <= length && (((size & 0x3f) << 8) | bytes[at + 1]!) < start ? at + 2 : -1;
    if (size > MAX_LABEL) return -1;
    at += size + 1;
    if (at - start >= MAX_NAME) return -1;
  }
  return -1;
}

/** Walks the options of an OPT record; unknown ones are passed over (RFC 6891 6.1.2). */
function readOptions(query: Query, bytes: Uint8Array, at: number, end: number): boolean {
  while (at < end) {
    if (at + 4 > end) return false;
    const code = u16(bytes, at);
    const size = u16(bytes, at + 2);
    at += 4 + size;
    if (at > end) return false;
    if (code === Option.NSID) query.nsid = true;
    else if (code === Option.KEEPALIVE) query.keepalive = true;
    else if (code === Option.ECS) {
      query.subnetLength = query.subnetAt === 0 ? size : 0;
      query.subnetAt = at - size;
    } else if (code === Option.COOKIE && query.cookieLength === 0) {
      // Client cookie of 8 octets, server cookie of 8..32 or absent; other lengths are malformed. Of several the first
      // counts, whatever the others are (RFC 7873 4, 5.2).
      if (size !== 8 && (size < 16 || size > 40)) return false;
      query.cookieAt = at - size;
      query.cookieLength = size;
    }
  }
  return true;
}

const u16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
