import { CLASSIC_SIZE, Flag, HEADER, Option, SAFE_SIZE, Type } from "./numbers.ts";
import type { Query } from "./query.ts";
import type { Template } from "./template.ts";

/** How an answer travels. `udpSize`: most octets ever sent over UDP, and what OPT says of this server. */
export interface Transport {
  tcp: boolean;
  udpSize: number;
  /** Answer to a keepalive option over TCP (RFC 7828), tenths of a second. */
  keepalive: number;
  /** Answer to NSID (RFC 5001); null: none. */
  nsid: Uint8Array | null;
}

export const plainUdp: Transport = { tcp: false, udpSize: SAFE_SIZE, keepalive: 0, nsid: null };

const OPT_SIZE = 11;

/** Octets that the OPT of the answer takes: none when the query had none (RFC 6891 6.1.1). */
function optLength(query: Query, transport: Transport): number {
  if (!query.edns) return 0;
  let size = OPT_SIZE;
  if (query.nsid && transport.nsid !== null) size += 4 + transport.nsid.length;
  if (query.keepalive && transport.tcp) size += 6;
  if (query.answerSubnet) size += 4 + query.subnetLength;
  if (query.answerCookie) size += 4 + query.cookie.length;
  if (query.explained !== null) size += 6 + query.explained.text.length;
  return size;
}

/** Octets of an answer without records. */
export const bareLength = (query: Query, transport: Transport): number =>
  bodyStart(query) + optLength(query, transport);

/** Most octets the answer's body may take so that header, question, body and OPT fit the transport. */
export function bodyLimit(query: Query, transport: Transport): number {
  let most = 65535;
  if (!transport.tcp) {
    most = query.edns && query.udpSize > CLASSIC_SIZE ? query.udpSize : CLASSIC_SIZE;
    if (most > transport.udpSize) most = transport.udpSize;
  }
  return most - bodyStart(query) - optLength(query, transport) - query.reserved;
}

/** Where the answer's body begins: after header and question, or after the header when no question was read. */
export const bodyStart = (query: Query): number => (query.question ? query.nameEnd + 4 : HEADER);

/**
 * Writes header and echoed question (as it came, its case kept), and closes the message after a body that ends at `end`.
 * `rcode` above 15 needs EDNS. Returns the message's length. Bits from the query: id, opcode, RD, CD; all else is ours.
 */
export function finish(
  out: Uint8Array,
  query: Query,
  transport: Transport,
  end: number,
  rcode: number,
  bits: number,
  answers: number,
  authority: number,
  additional: number,
): number {
  const flags = Flag.QR | (query.flags & (0x7800 | Flag.RD | Flag.CD)) | bits | (rcode & 15);
  out[0] = query.id >> 8;
  out[1] = query.id & 0xff;
  out[2] = flags >> 8;
  out[3] = flags & 0xff;
  out[4] = 0;
  out[5] = query.question ? 1 : 0;
  out[6] = answers >> 8;
  out[7] = answers & 0xff;
  out[8] = authority >> 8;
  out[9] = authority & 0xff;
  const records = query.edns ? additional + 1 : additional;
  out[10] = records >> 8;
  out[11] = records & 0xff;
  const bytes = query.bytes;
  const start = bodyStart(query);
  for (let i = HEADER; i < start; i++) out[i] = bytes[i]!;
  return query.edns ? writeOpt(out, end, query, transport, rcode >> 4) : end;
}

/** OPT (RFC 6891 6.1.2): version 0, DO echoed (RFC 3225 3), other flags 0, no option that was not asked for. */
function writeOpt(out: Uint8Array, at: number, query: Query, transport: Transport, extendedRcode: number): number {
  const dataLength = optLength(query, transport) - OPT_SIZE;
  out[at] = 0;
  out[at + 1] = 0;
  out[at + 2] = Type.OPT;
  out[at + 3] = transport.udpSize >> 8;
  out[at + 4] = transport.udpSize & 0xff;
  out[at + 5] = extendedRcode;
  out[at + 6] = 0;
  out[at + 7] = query.dnssecOk ? 0x80 : 0;
  out[at + 8] = 0;
  out[at + 9] = dataLength >> 8;
  out[at + 10] = dataLength & 0xff;
  let end = at + OPT_SIZE;
  if (dataLength === 0) return end;
  if (query.nsid && transport.nsid !== null) {
    end = writeOption(out, end, Option.NSID, transport.nsid);
  }
  if (query.keepalive && transport.tcp) {
    end = writeOption(out, end, Option.KEEPALIVE, [transport.keepalive >> 8, transport.keepalive & 0xff]);
  }
  if (query.answerSubnet) {
    // Family, source and address as they came; the scope is ours (RFC 7871 7.2.1).
    const { bytes, subnetAt, subnetLength } = query;
    end = writeOption(out, end, Option.ECS, bytes.subarray(subnetAt, subnetAt + subnetLength));
    out[end - subnetLength + 3] = query.scope;
  }
  if (query.answerCookie) end = writeOption(out, end, Option.COOKIE, query.cookie);
  if (query.explained !== null) {
    const { code, text } = query.explained;
    end = writeOption(out, end, Option.EDE, [code >> 8, code & 0xff, ...text]);
  }
  return end;
}

function writeOption(out: Uint8Array, at: number, code: number, data: ArrayLike<number>): number {
  out[at] = code >> 8;
  out[at + 1] = code & 0xff;
  out[at + 2] = data.length >> 8;
  out[at + 3] = data.length & 0xff;
  for (let i = 0; i < data.length; i++) out[at + 4 + i] = data[i]!;
  return at + 4 + data.length;
}

/** An answer without records: an error, or the truncation mark when `bits` holds TC. Returns the message's length. */
export function writeBare(out: Uint8Array, query: Query, transport: Transport, rcode: number, bits = 0): number {
  return finish(out, query, transport, bodyStart(query), rcode, bits, 0, 0, 0);
}

/** Truncated: the client asks again over TCP. Question and OPT stay (RFC 2181 9, RFC 6891 7). */
export const writeTruncated = (
  out: Uint8Array,
  query: Query,
  transport: Transport,
  rcode: number,
  authoritative: boolean,
): number => writeBare(out, query, transport, rcode, Flag.TC | (authoritative ? Flag.AA : 0));

/**
 * Writes a prebuilt answer to `query`. `apexAt`: octet of the question where the zone's apex begins. What does
 * not fit is truncated whole. Returns the message's length.
 */
export function writeTemplate(
  out: Uint8Array,
  query: Query,
  transport: Transport,
  template: Template,
  apexAt: number,
): number {
  const { body, pointers } = template;
  if (body.length > bodyLimit(query, transport))
    return writeTruncated(out, query, transport, template.rcode, template.authoritative);
  const start = bodyStart(query);
  for (let i = 0; i < body.length; i++) out[start + i] = body[i]!;
  for (let i = 0; i < pointers.length; i++) {
    const at = start + pointers[i]!;
    const target = ((out[at]! << 8) | out[at + 1]!) + apexAt;
    out[at] = 0xc0 | (target >> 8);
    out[at + 1] = target & 0xff;
  }
  return finish(
    out,
    query,
    transport,
    start + body.length,
    template.rcode,
    template.authoritative ? Flag.AA : 0,
    template.answers,
    template.authority,
    template.additional,
  );
}
