/** Builds frames for tests, field by field, with checksums computed whole: independent of the program's incremental ones. */

const bytesOf = (text: string): number[] => text.split(".").map(Number);
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
  ipv4(ip, 6, tcpSegment(ip, ports, flags, sequence, data));

export function udp(ip: Ip, ports: Ports, data: number[], checksum = true): number[] {
  const segment = [...be16(ports.sourcePort), ...be16(ports.targetPort), ...be16(8 + data.length), 0, 0, ...data];
  return ipv4(ip, 17, checksum ? withChecksum(ip, 17, segment, 6) : segment);
}

/** An ICMP message; `rest` are the four bytes after the checksum. */
export function icmp(ip: Ip, type: number, code: number, rest: number[], data: number[]): number[] {
  const bytes = [type, code, 0, 0, ...rest, ...data];
  const sum = be16(internetChecksum(bytes));
  bytes[2] = sum[0]!;
  bytes[3] = sum[1]!;
  return ipv4(ip, 1, bytes);
}

export const frame = (source: string, target: string, packet: number[], type = 0x0800): Uint8Array =>
  Uint8Array.from([...macBytes(target), ...macBytes(source), ...be16(type), ...packet]);

/** Does every checksum of this IPv4 packet hold? Looks into IPIP and at TCP, UDP and ICMP of whole packets. */
export function checksumsHold(packet: Uint8Array): boolean {
  const header = (packet[0]! & 15) * 4;
  const length = (packet[2]! << 8) | packet[3]!;
  const body = packet.subarray(header, length);
  if (internetChecksum(packet.subarray(0, header)) !== 0) return false;
  const protocol = packet[9]!;
  if (protocol === 4) return checksumsHold(body);
  if (protocol === 1) return internetChecksum(body) === 0;
  if (protocol === 17 && body[6] === 0 && body[7] === 0) return true;
  const head = [...packet.subarray(12, 20), 0, protocol, ...be16(body.length)];
  return internetChecksum([...head, ...body]) === 0;
}
