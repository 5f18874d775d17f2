/** ICMP errors that the director sends, written from RFC 792, RFC 1191 and RFC 4443. */
import type { Packet } from "./read.ts";
import { bodyResidue, complete, headerResidue, residue } from "./sums.ts";

const TTL = 64;
const LEAST_MTU6 = 1280;
/** Of a packet that is too big: 68 bytes of IPv4, and of IPv6 what fits the least MTU. */
const LONG = { ipv4: 68, ipv6: LEAST_MTU6 - 48 };
/** Only to know the flow again: a bare header and eight bytes. */
const SHORT = { ipv4: 28, ipv6: 48 };

/** The frame that goes back to the packet's sender; null when none may be sent. `from`: who speaks. */
export function answer(packet: Packet, from: string, about: "too big" | "expired", mtu: number): Buffer | null {
  const bare = packet.header === (packet.ipv6 ? 40 : 20);
  if (about === "expired" && !bare) return null;
  const bytes = (about === "too big" ? LONG : SHORT)[packet.ipv6 ? "ipv6" : "ipv4"];
  const quote = packet.ip.subarray(0, bytes);
  if (quote.length < bytes) return null;
  const [to, me] = [packet.ethernet.subarray(6, 12), packet.ethernet.subarray(0, 6)];
  const head = Buffer.concat([to, me, packet.tag, packet.ethernet.subarray(12, 14)]);
  const ip = packet.ipv6 ? error6(packet, from, about, mtu, quote) : error4(packet, from, about, mtu, quote);
  return Buffer.concat([head, ip]);
}

function error4(packet: Packet, from: string, about: string, mtu: number, quote: Buffer): Buffer {
  const [type, code] = about === "too big" ? [3, 4] : [11, 0];
  const icmp = Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, mtu >> 8, mtu & 0xff]), quote]);
  complete(icmp, 2, residue(icmp));
  const ip = Buffer.concat([Buffer.alloc(12), Buffer.from(from + packet.source, "hex")]);
  ip[0] = 0x45;
  ip.writeUInt16BE(20 + icmp.length, 2);
  ip[8] = TTL;
  ip[9] = 1;
  complete(ip, 10, headerResidue(ip));
  return Buffer.concat([ip, icmp]);
}

function error6(packet: Packet, from: string, about: string, mtu: number, quote: Buffer): Buffer {
  const icmp = Buffer.concat([Buffer.from([about === "too big" ? 2 : 3, 0, 0, 0, 0, 0, 0, 0]), quote]);
  if (about === "too big") icmp.writeUInt32BE(Math.max(mtu, LEAST_MTU6), 4);
  const ip = Buffer.concat([Buffer.alloc(8), Buffer.from(from + packet.source, "hex"), icmp]);
  ip[0] = 0x60;
  ip.writeUInt16BE(icmp.length, 4);
  ip[6] = 58;
  ip[7] = TTL;
  complete(ip, 42, bodyResidue(ip, 40, ip.length, 58));
  return ip;
}
