import { isIPv6, toBytes16 } from "../../core/address.ts";

/** Builds frames for tests, field by field, with checksums computed whole: independent of the program's incremental ones. */

const bytesOf = (text: string): number[] => [...toBytes16(text).subarray(isIPv6(text) ? 0 : 12)];
const macBytes = (text: string): number[] => text.split(":").map((part) => Number.parseInt(part, 16));
const be16 = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];
const be32 = (value: number): number[] => [...be16(value >>> 16), ...be16(value & 0xffff)];

/** The Internet checksum (RFC 1071) of whole bytes; an odd last one is padded with zero. */
export function internetChecksum(bytes: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export interface Ip {
  source: string;
  target: string;
  ttl?: number;
  tos?: number;
  id?: number;
  dontFragment?: boolean;
  moreFragments?: boolean;
  /** Units of 8 bytes. */
  offset?: number;
  /** Bytes of options, a multiple of 4. */
  options?: number[];
}

/** An IPv4 packet around a payload. */
export function ipv4(ip: Ip, protocol: number, payload: number[]): number[] {
  const options = ip.options ?? [];
  const header = 20 + options.length;
  const flags = (ip.dontFragment ? 0x4000 : 0) | (ip.moreFragments ? 0x2000 : 0) | (ip.offset ?? 0);
  const bytes = [
    0x40 | (header / 4),
    ip.tos ?? 0,
    ...be16(header + payload.length),
    ...be16(ip.id ?? 0x1234),
    ...be16(flags),
    ip.ttl ?? 64,
    protocol,
    0,
    0,
    ...bytesOf(ip.source),
    ...bytesOf(ip.target),
    ...options,
  ];
  const sum = be16(internetChecksum(bytes));
  bytes[10] = sum[0]!;
  bytes[11] = sum[1]!;
  return [...bytes, ...payload];
}

/** An IPv6 packet around a payload; `next` is the first header of it. Of `ip` the fragment's fields have no meaning. */
export function ipv6(ip: Ip & { flow?: number }, next: number, payload: number[]): number[] {
  const head = be32((6 * 2 ** 28 + (ip.tos ?? 0) * 2 ** 20 + (ip.flow ?? 0)) >>> 0);
  return [
    ...head,
    ...be16(payload.length),
    next,
    ip.ttl ?? 64,
    ...bytesOf(ip.source),
    ...bytesOf(ip.target),
    ...payload,
  ];
}

/** A fragment header of IPv6 and what follows it; `offset` in units of 8 bytes. */
export const fragment6 = (next: number, id: number, offset: number, more: boolean, payload: number[]): number[] => [
  next,
  0,
  ...be16((offset << 3) | (more ? 1 : 0)),
  ...be32(id),
  ...payload,
];

/** A header of hop-by-hop or destination options, all padding, and what follows it; `bytes`: its own, in whole eights. */
export const options6 = (next: number, payload: number[], bytes = 8): number[] => [
  next,
  bytes / 8 - 1,
  ...new Array(bytes - 2).fill(0),
  ...payload,
];

/** A segment routing header (RFC 8754) that was followed to its only segment, and what stands behind it. */
export const routing6 = (next: number, segment: string, payload: number[]): number[] => [
  ...[next, 2, 4, 0, 0, 0, 0, 0],
  ...toBytes16(segment),
  ...payload,
];

const packetOf = (ip: Ip, protocol: number, payload: number[]): number[] =>
  isIPv6(ip.source) ? ipv6(ip, protocol, payload) : ipv4(ip, protocol, payload);

/** The same for both families: their lengths and protocols stand at other places, but sums do not mind. */
const pseudo = (ip: Ip, protocol: number, length: number): number[] => [
  ...bytesOf(ip.source),
  ...bytesOf(ip.target),
  0,
  protocol,
  ...be16(length),
];

const withChecksum = (ip: Ip, protocol: number, segment: number[], at: number): number[] => {
  const sum = internetChecksum([...pseudo(ip, protocol, segment.length), ...segment]);
  const stored = protocol === 17 && sum === 0 ? 0xffff : sum;
  return [...segment.slice(0, at), ...be16(stored), ...segment.slice(at + 2)];
};

export const SYN = 0x02;
export const ACK = 0x10;
export const RST = 0x04;
export const FIN = 0x01;

export interface Ports {
  sourcePort: number;
  targetPort: number;
}

export function tcpSegment(ip: Ip, ports: Ports, flags: number, sequence = 1, data: number[] = []): number[] {
  const { sourcePort, targetPort } = ports;
  const head = [...be16(sourcePort), ...be16(targetPort), ...be32(sequence), ...be32(0), 0x50, flags];
  return withChecksum(ip, 6, [...head, ...be16(64240), 0, 0, 0, 0, ...data], 16);
}

export const tcp = (ip: Ip, ports: Ports, flags: number, sequence = 1, data: number[] = []): number[] =>
  packetOf(ip, 6, tcpSegment(ip, ports, flags, sequence, data));

export function udp(ip: Ip, ports: Ports, data: number[], checksum = true): number[] {
  const segment = [...be16(ports.sourcePort), ...be16(ports.targetPort), ...be16(8 + data.length), 0, 0, ...data];
  return packetOf(ip, 17, checksum ? withChecksum(ip, 17, segment, 6) : segment);
}

/** An ICMP message; `rest` are the four bytes after the checksum. */
export function icmp(ip: Ip, type: number, code: number, rest: number[], data: number[]): number[] {
  const bytes = [type, code, 0, 0, ...rest, ...data];
  const sum = be16(internetChecksum(bytes));
  bytes[2] = sum[0]!;
  bytes[3] = sum[1]!;
  return ipv4(ip, 1, bytes);
}

/** An ICMPv6 message, likewise; its checksum covers the addresses. */
export function icmp6(ip: Ip, type: number, code: number, rest: number[], data: number[]): number[] {
  return ipv6(ip, 58, withChecksum(ip, 58, [type, code, 0, 0, ...rest, ...data], 2));
}

/** `type`: by the packet's version when absent. */
export function frame(source: string, target: string, packet: number[], type?: number): Uint8Array {
  const known = type ?? (packet[0]! >> 4 === 6 ? 0x86dd : 0x0800);
  return Uint8Array.from([...macBytes(target), ...macBytes(source), ...be16(known), ...packet]);
}

/** The same frame with an 802.1Q tag. */
export const tagged = (bare: Uint8Array, control: number): Uint8Array =>
  Uint8Array.from([...bare.subarray(0, 12), 0x81, 0x00, ...be16(control), ...bare.subarray(12)]);

/** Does every checksum of this packet hold? Looks into tunnels and at TCP, UDP and ICMP of whole packets. */
export function checksumsHold(packet: Uint8Array): boolean {
  if (packet[0]! >> 4 === 6) return bodyHolds(packet.subarray(40), packet[6]!, packet.subarray(8, 40));
  const header = (packet[0]! & 15) * 4;
  const length = (packet[2]! << 8) | packet[3]!;
  if (internetChecksum(packet.subarray(0, header)) !== 0) return false;
  return bodyHolds(packet.subarray(header, length), packet[9]!, packet.subarray(12, 20));
}

function bodyHolds(body: Uint8Array, protocol: number, addresses: Uint8Array): boolean {
  if (protocol === 4 || protocol === 41) return checksumsHold(body);
  if (protocol === 1) return internetChecksum(body) === 0;
  // Behind an extension header is what it says; no checksum is none to hold.
  if (protocol !== 6 && protocol !== 17 && protocol !== 58) return true;
  if (protocol === 17 && body[6] === 0 && body[7] === 0) return true;
  return internetChecksum([...addresses, 0, protocol, ...be16(body.length), ...body]) === 0;
}

/** GUE of variant 0 whose private data name others: `next` is the first that has not been asked. */
export const namingHeader = (inner: 4 | 41, named: readonly string[], next = 0): number[] => {
  const addresses = named.flatMap(bytesOf);
  const room = (named[0] ?? "").includes(":") ? 32 : 8;
  const padding = new Array(room - addresses.length).fill(0);
  return [(4 + room) / 4, inner, 0, 0, 0x5c, 0x01, next, named.length, ...addresses, ...padding];
};
