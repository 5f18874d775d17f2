import { wireToName } from "./name.ts";
import { HEADER, Type } from "./numbers.ts";

/** Reading of answers, for tests alone: whole sets, names written out, also those within RDATA. Throws what is wrong. */

export interface ParsedSet {
  /** Presentation form, lower case. */
  owner: string;
  type: number;
  ttl: number;
  /** Names in it written out. */
  rdata: Uint8Array[];
}

export interface Parsed {
  id: number;
  rcode: number;
  authoritative: boolean;
  truncated: boolean;
  answers: ParsedSet[];
  authority: ParsedSet[];
  additional: ParsedSet[];
  /** Records of the three sections, OPT not counted. */
  records: number;
  /** Data of OPT: its options. */
  options: Buffer;
}

/** Octets before the names in RDATA of the types whose names may be compressed (RFC 3597 4), and how many names. */
const named: Readonly<Record<number, readonly [before: number, names: number]>> = {
  [Type.NS]: [0, 1],
  [Type.CNAME]: [0, 1],
  [Type.SOA]: [0, 2],
  12: [0, 1],
  15: [2, 1],
};

function readName(bytes: Uint8Array, start: number): { name: Uint8Array; end: number } {
  const out: number[] = [];
  let end = -1;
  for (let at = start, steps = 0; ; steps++) {
    if (steps > 128 || at >= bytes.length) throw new Error("a name does not end");
    const size = bytes[at]!;
    if (size >= 0xc0) {
      if (end < 0) end = at + 2;
      const to = ((size & 0x3f) << 8) | bytes[at + 1]!;
      if (to >= at) throw new Error("a pointer leads forward");
      at = to;
      continue;
    }
    if (size > 63) throw new Error("a label of unknown kind");
    out.push(...bytes.subarray(at, at + size + 1));
    at += size + 1;
    if (size === 0) return { name: Uint8Array.from(out), end: end < 0 ? at : end };
  }
}

function readRdata(bytes: Uint8Array, at: number, size: number, type: number): Uint8Array {
  const [before, names] = named[type] ?? [0, 0];
  if (names === 0) return Uint8Array.from(bytes.subarray(at, at + size));
  const parts = [...bytes.subarray(at, at + before)];
  let place = at + before;
  for (let i = 0; i < names; i++) {
    const { name, end } = readName(bytes, place);
    parts.push(...name);
    place = end;
  }
  return Uint8Array.from([...parts, ...bytes.subarray(place, at + size)]);
}

/** A whole answer. */
export function parseMessage(bytes: Uint8Array): Parsed {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const counts = [view.getUint16(6), view.getUint16(8), view.getUint16(10)];
  const sections: ParsedSet[][] = [[], [], []];
  let at = HEADER;
  for (let i = 0; i < view.getUint16(4); i++) at = readName(bytes, at).end + 4;
  let extended = 0;
  let records = 0;
  let options: Buffer = Buffer.alloc(0);
  for (const [place, count] of counts.entries()) {
    for (let i = 0; i < count; i++) {
      const { name, end } = readName(bytes, at);
      const [type, ttl, size] = [view.getUint16(end), view.getUint32(end + 4), view.getUint16(end + 8)];
      at = end + 10 + size;
      if (at > bytes.length) throw new Error("a record goes beyond the message");
      if (type === Type.OPT) {
        extended = bytes[end + 4]! << 4;
        options = Buffer.from(bytes.subarray(end + 10, at));
        continue;
      }
      records++;
      const owner = wireToName(name).toLowerCase();
      const rdata = readRdata(bytes, end + 10, size, type);
      const known = sections[place]!.find((set) => set.owner === owner && set.type === type);
      if (known) known.rdata.push(rdata);
      else sections[place]!.push({ owner, type, ttl, rdata: [rdata] });
    }
  }
  if (at !== bytes.length) throw new Error("octets after the last record");
  const [answers, authority, additional] = sections as [ParsedSet[], ParsedSet[], ParsedSet[]];
  return {
    id: view.getUint16(0),
    rcode: (bytes[3]! & 15) | extended,
    authoritative: (bytes[2]! & 4) !== 0,
    truncated: (bytes[2]! & 2) !== 0,
    answers,
    authority,
    additional,
    records,
    options,
  };
}
