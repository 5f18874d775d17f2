import { fromBytes16, parseAddress } from "../../core/address.ts";
import { crc32c } from "./crc32c.ts";

/** Who a connection is from and where it was going, as the one before us says. */
export interface Introduction {
  /** Null: it speaks for itself (LOCAL, UNKNOWN): the connection's own addresses hold. */
  source: { address: string; port: number } | null;
  destination: { address: string; port: number } | null;
}

/** The header needs more bytes than there are. */
export const MORE = 0;
/** What stands there is no valid header: the connection is of no use. */
export const INVALID = -1;

/** Longest header that is read; version 1 has 107 at most (PROXY protocol 2.1), version 2 may have fields behind. */
const LONGEST = 4096;
const LONGEST_V1 = 107;

export const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const PREFIX = Buffer.from("PROXY ", "latin1");

/**
 * Reads the header of the PROXY protocol, version 1 or 2 (haproxy.org, proxy-protocol.txt), that `bytes[start, …)`
 * must begin with. Strict: nothing is guessed, for what is read here decides whom we believe.
 * @param out is filled when a header is whole
 * @returns offset of the first byte behind it; MORE; INVALID. Never throws.
 */
export function readIntroduction(bytes: Buffer, start: number, out: Introduction): number {
  const there = bytes.length - start;
  if (startsLike(bytes, start, SIGNATURE)) return there < 16 ? MORE : readV2(bytes, start, out);
  if (startsLike(bytes, start, PREFIX)) return readV1(bytes, start, out);
  return INVALID;
}

/** Is what is there, as far as it goes, the beginning of `word`? */
function startsLike(bytes: Buffer, start: number, word: Buffer): boolean {
  const length = Math.min(word.length, bytes.length - start);
  return bytes.compare(word, 0, length, start, start + length) === 0;
}

const v1 = /^PROXY (?:UNKNOWN(?: [!-~ ]*)?|(TCP[46]) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) (\d{1,5}) (\d{1,5}))$/;

function readV1(bytes: Buffer, start: number, out: Introduction): number {
  const feed = bytes.indexOf(10, start);
  if (feed < 0) return bytes.length - start >= LONGEST_V1 ? INVALID : MORE;
  if (feed - start >= LONGEST_V1 || bytes[feed - 1] !== 13) return INVALID;
  const match = v1.exec(bytes.toString("latin1", start, feed - 1));
  if (match === null) return INVALID;
  const [, family, from, to, fromPort, toPort] = match;
  if (family === undefined) {
    out.source = out.destination = null;
    return feed + 1;
  }
  const source = endOf(family, from!, fromPort!);
  const destination = endOf(family, to!, toPort!);
  if (source === null || destination === null) return INVALID;
  out.source = source;
  out.destination = destination;
  return feed + 1;
}

function endOf(family: string, text: string, port: string): { address: string; port: number } | null {
  const address = (family === "TCP6") === text.includes(":") ? parseAddress(text) : null;
  const number = Number(port);
  return address === null || number > 65_535 || String(number) !== port ? null : { address, port: number };
}

/** Bytes of the addresses by family: IPv4, IPv6, unix. */
const SIZES = [0, 12, 36, 216];
const CRC32C = 0x03;

function readV2(bytes: Buffer, start: number, out: Introduction): number {
  const version = bytes[start + 12]! >> 4;
  const command = bytes[start + 12]! & 15;
  const family = bytes[start + 13]! >> 4;
  const protocol = bytes[start + 13]! & 15;
  const length = bytes.readUInt16BE(start + 14);
  const local = command === 0;
  if (version !== 2 || command > 1 || length + 16 > LONGEST) return INVALID;
  // What stands behind LOCAL is discarded, "including the family which is ignored" (2.2).
  if (!local && (family > 3 || protocol > 2)) return INVALID;
  const end = start + 16 + length;
  if (bytes.length < end) return MORE;
  const fields = start + 16 + (SIZES[family] ?? 0);
  if (!local && fields > end) return INVALID;
  if (!local && !areFieldsGood(bytes, start, fields, end)) return INVALID;
  // LOCAL, and what is no stream over IP, say nothing of a client: the connection's own addresses hold.
  if (local || protocol !== 1 || family === 0 || family === 3) {
    out.source = out.destination = null;
    return end;
  }
  const size = family === 1 ? 4 : 16;
  const at = start + 16;
  out.source = { address: addressAt(bytes, at, size), port: bytes.readUInt16BE(at + 2 * size) };
  out.destination = { address: addressAt(bytes, at + size, size), port: bytes.readUInt16BE(at + 2 * size + 2) };
  return end;
}

const addressAt = (bytes: Buffer, at: number, size: number): string =>
  size === 4 ? bytes.subarray(at, at + 4).join(".") : fromBytes16(bytes.subarray(at, at + 16));

/** Whole type-length-value fields, and a checksum that holds where there is one (2.2.3). */
function areFieldsGood(bytes: Buffer, start: number, from: number, end: number): boolean {
  let at = from;
  while (at < end) {
    if (at + 3 > end) return false;
    const type = bytes[at]!;
    const length = bytes.readUInt16BE(at + 1);
    if (at + 3 + length > end) return false;
    if (type === CRC32C) {
      if (length !== 4) return false;
      const copy = Buffer.from(bytes.subarray(start, end));
      const place = at + 3 - start;
      const said = copy.readUInt32BE(place);
      copy.fill(0, place, place + 4);
      if (crc32c(copy) !== said) return false;
    }
    at += 3 + length;
  }
  return true;
}
