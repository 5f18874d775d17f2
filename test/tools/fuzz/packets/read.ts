/** What a frame is, by the RFCs: read without looking at how the program does it. */
/** A TCP or UDP packet, a later fragment of whatever, or an ICMP error about one; `null` fields were not there. */
export interface Packet {
  /** 4 bytes of an 802.1Q tag, or none. */
  tag: Buffer;
  /** MACs and type, without the tag. */
  ethernet: Buffer;
  /** From the IP header to the frame's end. */
  ip: Buffer;
  ipv6: boolean;
  /** Bytes of IP headers, with options or extensions. */
  header: number;
  /** Bytes of the IP packet. */
  length: number;
  source: string;
  target: string;
  ttl: number;
  tos: number;
  mayFragment: boolean;
  part: "whole" | "first" | "later";
  /** Names its datagram among the fragments. */
  datagram: string;
  protocol: number;
  /** Of TCP and UDP, and of the packet that an error quotes. */
  ports: { source: number; target: number } | null;
  /** The transport's fixed header does not fit. */
  cut: boolean;
  /** An ICMP error: the quoted packet. */
  quote: { at: number; header: number; source: string; target: string; protocol: number } | null;
}

export const TCP = 6;
export const UDP = 17;
const ICMP = 1;
const ICMP6 = 58;
const FRAGMENT = 44;
const steppedOver = new Set([0, 43, 60]);
/** Bytes of extension headers and their number that are looked through. */
const MOST_HEADER = 511;
const MOST_EXTENSIONS = 5;

const errors4 = new Set([3, 11, 12]);
const errors6 = new Set([1, 2, 3, 4]);
const hex = (bytes: Buffer, at: number, size: number): string => bytes.toString("hex", at, at + size);
const isMapped = (address: string): boolean => address.startsWith("00000000000000000000ffff");

type Shape = Omit<Packet, "tag" | "ethernet" | "ip" | "ports" | "cut" | "quote">;

/** RFC 791. */
function readIpv4(ip: Buffer): Shape | null {
  if (ip.length < 20 || ip[0]! >> 4 !== 4) return null;
  const header = (ip[0]! & 15) * 4;
  const length = ip.readUInt16BE(2);
  if (header < 20 || length < header || length > ip.length) return null;
  const fragment = ip.readUInt16BE(6);
  const [source, target] = [hex(ip, 12, 4), hex(ip, 16, 4)];
  return {
    ipv6: false,
    header,
    length,
    source,
    target,
    ttl: ip[8]!,
    tos: ip[1]!,
    mayFragment: (fragment & 0x4000) === 0,
    part: fragment & 0x1fff ? "later" : fragment & 0x2000 ? "first" : "whole",
    datagram: `${source} ${target} ${hex(ip, 4, 2)} ${ip[9]}`,
    protocol: ip[9]!,
  };
}

/** Of a quoted IPv4 header, which may be no header. */
const readOptions = (ip: Buffer): Pick<Shape, "header" | "part" | "protocol"> => ({
  header: (ip[0]! & 15) * 4,
  part: ip.readUInt16BE(6) & 0x1fff ? "later" : "whole",
  protocol: ip[9]!,
});

/** What stands between an IPv6 packet's own header and its transport's (RFC 8200, 4); `header`: bytes of all of them. */
function readChain(ip: Buffer): (Pick<Shape, "header" | "part" | "protocol"> & { id: string }) | null {
  let [next, at, part, id] = [ip[6]!, 40, "whole" as Packet["part"], ""];
  for (let i = 0; i < MOST_EXTENSIONS && ![TCP, UDP, ICMP6].includes(next) && part !== "later"; i++) {
    if (at + 8 > ip.length) return null;
    if (next === FRAGMENT) {
      const place = ip.readUInt16BE(at + 2);
      id = hex(ip, at + 4, 4);
      part = place & 0xfff8 ? "later" : place & 1 ? "first" : part;
      next = ip[at]!;
      at += 8;
    } else if (steppedOver.has(next)) {
      next = ip[at]!;
      at += (ip[at + 1]! + 1) * 8;
    } else return null;
    if (at > MOST_HEADER) return null;
  }
  return { header: at, part, protocol: next, id };
}

/** RFC 8200. Addresses that map IPv4 never stand on a wire. */
function readIpv6(ip: Buffer): Shape | null {
  if (ip.length < 40 || ip[0]! >> 4 !== 6) return null;
  const length = 40 + ip.readUInt16BE(4);
  const [source, target] = [hex(ip, 8, 16), hex(ip, 24, 16)];
  if (length > ip.length || length > 0xffff || isMapped(source) || isMapped(target)) return null;
  const chain = readChain(ip);
  if (!chain || length < chain.header) return null;
  const tos = (ip.readUInt16BE(0) >> 4) & 0xff;
  const same = { ipv6: true, length, source, target, ttl: ip[7]!, tos, mayFragment: false };
  const { id, ...known } = chain;
  return { ...same, ...known, datagram: `${source} ${target} ${id}` };
}

/** The packet that an ICMP error is about, when that is a TCP or UDP flow of the error's addressee. */
function readQuote(ip: Buffer, shape: Shape): Pick<Packet, "quote" | "ports"> | null {
  const at = shape.header + 8;
  const errors = shape.ipv6 ? errors6 : errors4;
  const least = shape.ipv6 ? 40 : 20;
  if (at + least > shape.length || !errors.has(ip[shape.header]!)) return null;
  const inner = shape.ipv6 ? readChain(ip.subarray(at)) : readOptions(ip.subarray(at));
  if (ip[at]! >> 4 !== (shape.ipv6 ? 6 : 4) || !inner || inner.part === "later") return null;
  const { header, protocol } = inner;
  if (header < least || at + header + 4 > shape.length || (protocol !== TCP && protocol !== UDP)) return null;
  const [from, size] = shape.ipv6 ? [at + 8, 16] : [at + 12, 4];
  const [source, target] = [hex(ip, from, size), hex(ip, from + size, size)];
  // Errors go to whoever sent what they are about (RFC 792, RFC 4443 2.4).
  if (source !== shape.target || (shape.ipv6 && isMapped(target))) return null;
  const ports = { source: ip.readUInt16BE(at + header), target: ip.readUInt16BE(at + header + 2) };
  return { quote: { at, header, source, target, protocol }, ports };
}

/** Null: nothing that a balancer of TCP and UDP knows anything about. */
export function read(frame: Buffer): Packet | null {
  const tagged = frame.length >= 18 && frame.readUInt16BE(12) === 0x8100;
  const rest = tagged ? Buffer.concat([frame.subarray(0, 12), frame.subarray(16)]) : frame;
  if (rest.length < 14) return null;
  const type = rest.readUInt16BE(12);
  const ip = rest.subarray(14);
  const shape = type === 0x0800 ? readIpv4(ip) : type === 0x86dd ? readIpv6(ip) : null;
  if (!shape) return null;
  const tag = tagged ? frame.subarray(12, 16) : Buffer.alloc(0);
  const packet = { ...shape, tag, ethernet: rest.subarray(0, 14), ip, ports: null, cut: false, quote: null };
  if (shape.part === "later") return packet;
  if (shape.protocol === TCP || shape.protocol === UDP) {
    const body = shape.length - shape.header;
    if (body < 4) return null;
    const ports = { source: ip.readUInt16BE(shape.header), target: ip.readUInt16BE(shape.header + 2) };
    return { ...packet, ports, cut: body < (shape.protocol === TCP ? 20 : 8) };
  }
  if (shape.part !== "whole" || shape.protocol !== (shape.ipv6 ? ICMP6 : ICMP)) return null;
  const about = readQuote(ip, shape);
  return about && { ...packet, ...about };
}
