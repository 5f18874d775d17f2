/** The pcapng capture format (draft-ietf-opsawg-pcapng): what tcpdump and Wireshark read. Little-endian, Ethernet, ns. */

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const PACKET = 6;
const ETHERNET = 1;
const NANOSECONDS = 9;
const COMMENT = 1;
const FLAGS = 2;
const IF_NAME = 2;
const IF_TSRESOL = 9;

const padded = (length: number): number => (length + 3) & ~3;

function option(code: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + padded(value.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, code, true);
  view.setUint16(2, value.length, true);
  bytes.set(value, 4);
  return bytes;
}

const END = new Uint8Array(4);
const textBytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function block(type: number, parts: readonly Uint8Array[]): Uint8Array {
  const body = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(12 + body);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, bytes.length, true);
  let at = 8;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  view.setUint32(at, bytes.length, true);
  return bytes;
}

/** The first block of a file. */
export function sectionHeader(): Uint8Array {
  const body = new Uint8Array(16);
  const view = new DataView(body.buffer);
  view.setUint32(0, 0x1a2b3c4d, true);
  view.setUint16(4, 1, true);
  // Length of the section: not told.
  view.setBigInt64(8, -1n, true);
  return block(SECTION, [body]);
}

/** An interface; packets name it by how many stood before it. */
export function interfaceBlock(name: string, snaplen: number): Uint8Array {
  const body = new Uint8Array(8);
  const view = new DataView(body.buffer);
  view.setUint16(0, ETHERNET, true);
  view.setUint32(4, snaplen, true);
  return block(INTERFACE, [
    body,
    option(IF_NAME, textBytes(name)),
    option(IF_TSRESOL, Uint8Array.of(NANOSECONDS)),
    END,
  ]);
}

/** One frame. `time`: ns since 1970; `length`: of the whole frame, of which `bytes` are the first. */
export function packetBlock(packet: {
  device: number;
  time: bigint;
  length: number;
  bytes: Uint8Array;
  direction: "in" | "out";
  comment: string;
}): Uint8Array {
  const head = new Uint8Array(20);
  const view = new DataView(head.buffer);
  view.setUint32(0, packet.device, true);
  view.setUint32(4, Number(packet.time >> 32n), true);
  view.setUint32(8, Number(packet.time & 0xffff_ffffn), true);
  view.setUint32(12, packet.bytes.length, true);
  view.setUint32(16, packet.length, true);
  const data = new Uint8Array(padded(packet.bytes.length));
  data.set(packet.bytes);
  const flags = Uint8Array.of(packet.direction === "in" ? 1 : 2, 0, 0, 0);
  return block(PACKET, [head, data, option(COMMENT, textBytes(packet.comment)), option(FLAGS, flags), END]);
}
