import { fromBytes16 } from "../core/address.ts";

export type TcpFlag = "FIN" | "SYN" | "RST" | "PSH" | "ACK" | "URG" | "ECE" | "CWR";
const flagNames: readonly TcpFlag[] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

export interface TcpSegment {
  sourcePort: number;
  destinationPort: number;
  sequence: number;
  acknowledgement: number;
  flags: TcpFlag[];
  window: number;
  /** Maximum segment size option, when there is one. */
  mss?: number;
  payload: Uint8Array;
  /** Null when the packet was cut or is a fragment. */
  checksumValid: boolean | null;
}

export interface UdpDatagram {
  sourcePort: number;
  destinationPort: number;
  payload: Uint8Array;
  /** Null when the packet was cut, is a fragment, or carries no checksum. */
  checksumValid: boolean | null;
}

export interface IpPacket {
  version: 4 | 6;
  source: string;
  destination: string;
  /** 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6, 4 and 41 a tunnelled IP packet. */
  protocol: number;
  /** Hop limit for IPv6. */
  ttl: number;
  /** Identification; 0 for IPv6. */
  id: number;
  dontFragment: boolean;
  moreFragments: boolean;
  /** Bytes. */
  fragmentOffset: number;
  /** Of the whole packet, as its header says, in bytes. */
  length: number;
  /** The header's bytes, options included. */
  header: Uint8Array;
  headerChecksumValid: boolean;
  /** What follows the header. */
  payload: Uint8Array;
  tcp?: TcpSegment;
  udp?: UdpDatagram;
  icmp?: { type: number; code: number; payload: Uint8Array; checksumValid: boolean | null };
  /** The packet inside, for IP in IP (RFC 2003). */
  inner?: IpPacket;
}

const word = (b: Uint8Array, at: number): number => (b[at]! << 8) | b[at + 1]!;
const long = (b: Uint8Array, at: number): number => word(b, at) * 65536 + word(b, at + 2);

/** Ones' complement sum over all parts, folded and inverted (RFC 1071); 0 over data that holds its own right checksum. */
export function checksum(...parts: Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i + 1 < part.length; i += 2) sum += word(part, i);
    if (part.length % 2) sum += part[part.length - 1]! << 8;
    sum = (sum & 0xffff) + Math.floor(sum / 65536);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536);
  return ~sum & 0xffff;
}

/** An IP packet, as far as the bytes go; undefined when not even the header is whole. */
export function parseIp(bytes: Uint8Array, depth = 0): IpPacket | undefined {
  const version = (bytes[0] ?? 0) >> 4;
  const ip = version === 4 ? parseIpv4(bytes) : version === 6 ? parseIpv6(bytes) : undefined;
  if (!ip) return undefined;
  if (ip.fragmentOffset > 0) return ip;
  if (ip.protocol === 6) ip.tcp = parseTcp(ip);
  else if (ip.protocol === 17) ip.udp = parseUdp(ip);
  else if (ip.protocol === 1 || ip.protocol === 58) ip.icmp = parseIcmp(ip);
  else if ((ip.protocol === 4 || ip.protocol === 41) && depth < 4) ip.inner = parseIp(ip.payload, depth + 1);
  return ip;
}

function parseIpv4(bytes: Uint8Array): IpPacket | undefined {
  const headerLength = (bytes[0]! & 15) * 4;
  if (headerLength < 20 || bytes.length < headerLength) return undefined;
  const length = word(bytes, 2);
  const fragment = word(bytes, 6);
  const header = bytes.subarray(0, headerLength);
  return {
    version: 4,
    source: bytes.subarray(12, 16).join("."),
    destination: bytes.subarray(16, 20).join("."),
    protocol: bytes[9]!,
    ttl: bytes[8]!,
    id: word(bytes, 4),
    dontFragment: (fragment & 0x4000) !== 0,
    moreFragments: (fragment & 0x2000) !== 0,
    fragmentOffset: (fragment & 0x1fff) * 8,
    length,
    header,
    headerChecksumValid: checksum(header) === 0,
    payload: bytes.subarray(headerLength, Math.max(headerLength, Math.min(bytes.length, length))),
  };
}

/** Extension headers are not walked: what carries one has neither `tcp` nor `udp`. */
function parseIpv6(bytes: Uint8Array): IpPacket | undefined {
  if (bytes.length < 40) return undefined;
  const length = 40 + word(bytes, 4);
  return {
    version: 6,
    source: fromBytes16(bytes.subarray(8, 24)),
    destination: fromBytes16(bytes.subarray(24, 40)),
    protocol: bytes[6]!,
    ttl: bytes[7]!,
    id: 0,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    length,
    header: bytes.subarray(0, 40),
    headerChecksumValid: true,
    payload: bytes.subarray(40, Math.min(bytes.length, length)),
  };
}

/** Over the pseudo header and the payload (RFC 9293 3.1, RFC 8200 8.1). */
function transportChecksumValid(ip: IpPacket): boolean | null {
  const whole = ip.payload.length === ip.length - ip.header.length;
  if (!whole || ip.moreFragments || ip.fragmentOffset > 0) return null;
  const addresses = ip.version === 4 ? ip.header.subarray(12, 20) : ip.header.subarray(8, 40);
  const size = ip.payload.length;
  return checksum(addresses, Uint8Array.of(0, ip.protocol, size >> 8, size & 255), ip.payload) === 0;
}

function parseTcp(ip: IpPacket): TcpSegment | undefined {
  const b = ip.payload;
  const headerLength = ((b[12] ?? 0) >> 2) & 0x3c;
  if (headerLength < 20 || b.length < headerLength) return undefined;
  const bits = b[13]!;
  const mss = maximumSegment(b.subarray(20, headerLength));
  return {
    sourcePort: word(b, 0),
    destinationPort: word(b, 2),
    sequence: long(b, 4),
    acknowledgement: long(b, 8),
    flags: flagNames.filter((_, i) => bits & (1 << i)),
    window: word(b, 14),
    ...(mss === undefined ? {} : { mss }),
    payload: b.subarray(headerLength),
    checksumValid: transportChecksumValid(ip),
  };
}

function maximumSegment(options: Uint8Array): number | undefined {
  for (let at = 0; at < options.length; ) {
    const kind = options[at]!;
    if (kind === 0) return undefined;
    if (kind === 2 && at + 4 <= options.length) return word(options, at + 2);
    at += kind === 1 ? 1 : Math.max(2, options[at + 1] ?? 2);
  }
  return undefined;
}

function parseUdp(ip: IpPacket): UdpDatagram | undefined {
  const b = ip.payload;
  if (b.length < 8) return undefined;
  return {
    sourcePort: word(b, 0),
    destinationPort: word(b, 2),
    payload: b.subarray(8),
    checksumValid: word(b, 6) === 0 ? null : transportChecksumValid(ip),
  };
}

function parseIcmp(ip: IpPacket): IpPacket["icmp"] {
  const b = ip.payload;
  if (b.length < 8) return undefined;
  const cut = b.length !== ip.length - ip.header.length;
  const checksumValid = ip.version === 6 ? transportChecksumValid(ip) : cut ? null : checksum(b) === 0;
  return { type: b[0]!, code: b[1]!, payload: b.subarray(8), checksumValid };
}
