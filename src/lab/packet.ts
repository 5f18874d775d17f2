import { checksum, type IpPacket, parseIp } from "./ip-packet.ts";

export type { IpPacket } from "./ip-packet.ts";
export { checksum };

export interface ArpPacket {
  operation: "request" | "reply";
  senderMac: string;
  sender: string;
  targetMac: string;
  target: string;
}

/** One captured Ethernet frame. Layers that are not there are absent. */
export interface Packet {
  /** ms since 1970, with fractions. */
  at: number;
  /** On the wire, in bytes; `bytes` is shorter when the capture was cut. */
  length: number;
  bytes: Uint8Array;
  sourceMac: string;
  destinationMac: string;
  etherType: number;
  vlan?: number;
  arp?: ArpPacket;
  /** The outermost IP packet; a tunnelled one is in its `inner`. */
  ip?: IpPacket;
}

const mac = (bytes: Uint8Array, at: number): string =>
  [...bytes.subarray(at, at + 6)].map((b) => b.toString(16).padStart(2, "0")).join(":");

/** Reads a frame as far as it goes; never throws. `at` in ms since 1970, `length` as it was on the wire. */
export function parsePacket(bytes: Uint8Array, at = 0, length = bytes.length): Packet {
  const packet: Packet = { at, length, bytes, destinationMac: mac(bytes, 0), sourceMac: mac(bytes, 6), etherType: 0 };
  if (bytes.length < 14) return packet;
  let offset = 12;
  packet.etherType = word(bytes, offset);
  if (packet.etherType === 0x8100 && bytes.length >= 18) {
    packet.vlan = word(bytes, 14) & 0xfff;
    offset = 16;
    packet.etherType = word(bytes, offset);
  }
  const payload = bytes.subarray(offset + 2);
  if (packet.etherType === 0x0806) packet.arp = parseArp(payload);
  else if (packet.etherType === 0x0800 || packet.etherType === 0x86dd) packet.ip = parseIp(payload);
  return packet;
}

const word = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

/** Ethernet and IPv4 only (RFC 826). */
function parseArp(bytes: Uint8Array): ArpPacket | undefined {
  if (bytes.length < 28 || word(bytes, 2) !== 0x0800) return undefined;
  const operation = word(bytes, 6);
  if (operation !== 1 && operation !== 2) return undefined;
  return {
    operation: operation === 1 ? "request" : "reply",
    senderMac: mac(bytes, 8),
    sender: bytes.subarray(14, 18).join("."),
    targetMac: mac(bytes, 18),
    target: bytes.subarray(24, 28).join("."),
  };
}

/** `10.0.0.1:80 > 10.0.0.2:99 tcp SYN`, inner packets in brackets: for messages of tests and the path view. */
export function packetText(packet: Packet): string {
  const { arp, ip } = packet;
  const link = `${packet.sourceMac} > ${packet.destinationMac}`;
  if (arp) return `${link} arp ${arp.operation} ${arp.target} tell ${arp.sender}`;
  return ip ? `${link} ${ipText(ip)}` : `${link} type 0x${packet.etherType.toString(16)}`;
}

function ipText(ip: IpPacket): string {
  const ports = ip.tcp ?? ip.udp;
  const end = (address: string, port?: number) => (port === undefined ? address : `${address}:${port}`);
  const addresses = `${end(ip.source, ports?.sourcePort)} > ${end(ip.destination, ports?.destinationPort)}`;
  if (ip.inner) return `${addresses} ipip [${ipText(ip.inner)}]`;
  if (ip.tcp) return `${addresses} tcp ${ip.tcp.flags.join(",")} ${ip.tcp.payload.length} bytes`;
  if (ip.udp) return `${addresses} udp ${ip.udp.payload.length} bytes`;
  return `${addresses} protocol ${ip.protocol}${ip.icmp ? ` type ${ip.icmp.type} code ${ip.icmp.code}` : ""}`;
}
