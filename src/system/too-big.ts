import { fromBytes16, isIPv6 } from "../core/address.ts";
import { ptr } from "../runtime/ffi.ts";
import { errno, errnoText, libc } from "../runtime/libc.ts";
import { MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW, SOL_SOCKET } from "../runtime/socket-constants.ts";

/** A router's word that a packet of this host did not fit: "fragmentation needed" (RFC 1191), "packet too big" (RFC 4443). */
export interface TooBig {
  /** What would fit, bytes of the IP packet. 0: a router from before RFC 1191, which does not say. */
  mtu: number;
  /** Of the packet that did not fit. */
  source: string;
  target: string;
  protocol: number;
  /** Bytes of it. */
  length: number;
  /** Target port, of UDP. */
  port: number | null;
}

export interface TooBigWatch {
  /** What routers have said since the last call; the kernel keeps some hundreds, more is lost. */
  read(): TooBig[];
  /** Why nothing can be heard; null: it can. */
  readonly deaf: string | null;
  close(): void;
}

/** <sys/socket.h>, <linux/icmp.h>, <linux/icmpv6.h>, <linux/in.h> */
const AF_INET = 2;
const AF_INET6 = 10;
const SO_ATTACH_FILTER = 26;
const SOL_RAW = 255;
const ICMP_FILTER = 1;
const ICMP6_FILTER = 1;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const UDP = 17;
const UNREACHABLE = 3;
const FRAGMENTATION_NEEDED = 4;
const ICMP6_TOO_BIG = 2;
/** Protocols of packets that hold packets: IPv4 and IPv6 in IP, UDP. */
const TUNNELS = [4, 41, UDP] as const;

const ICMP_HEADER = 8;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const PORTS = 4;
const DONT_FRAGMENT = 0x4000;
/** More than an error of IPv6 has (RFC 4443, 3.2). */
const LONGEST = 2048;
/** Read at one call: whoever floods us with errors keeps the loop from nothing else. */
const MOST = 256;

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Reads an ICMP message with its IPv4 header, as a raw socket gives it; null: it is something else, or not whole. */
export function parseTooBig4(packet: Uint8Array): TooBig | null {
  if (packet.length < IPV4_HEADER) return null;
  const icmp = packet.subarray((packet[0]! & 15) * 4);
  const quote = icmp.subarray(ICMP_HEADER);
  if (quote.length < IPV4_HEADER || icmp[0] !== UNREACHABLE || icmp[1] !== FRAGMENTATION_NEEDED) return null;
  const [header, words] = [(quote[0]! & 15) * 4, view(quote)];
  if (quote[0]! >> 4 !== 4 || header < IPV4_HEADER || (words.getUint16(6) & DONT_FRAGMENT) === 0) return null;
  return {
    mtu: view(icmp).getUint16(6),
    source: quote.subarray(12, 16).join("."),
    target: quote.subarray(16, 20).join("."),
    protocol: quote[9]!,
    length: words.getUint16(2),
    port: portOf(quote, quote[9]!, header),
  };
}

/** Reads an ICMPv6 message, as a raw socket gives it; null: it is something else, or not whole. */
export function parseTooBig6(message: Uint8Array): TooBig | null {
  const quote = message.subarray(ICMP_HEADER);
  if (quote.length < IPV6_HEADER || message[0] !== ICMP6_TOO_BIG || quote[0]! >> 4 !== 6) return null;
  const [source, target] = [fromBytes16(quote.subarray(8, 24)), fromBytes16(quote.subarray(24, 40))];
  // IPv4 addresses in their mapped form are on no wire.
  if (!isIPv6(source) || !isIPv6(target)) return null;
  return {
    mtu: view(message).getUint32(4),
    source,
    target,
    protocol: quote[6]!,
    length: view(quote).getUint16(4) + IPV6_HEADER,
    port: portOf(quote, quote[6]!, IPV6_HEADER),
  };
}

const portOf = (quote: Uint8Array, protocol: number, header: number): number | null =>
  protocol === UDP && quote.length >= header + PORTS ? view(quote).getUint16(header + 2) : null;

/** Listens in the network namespace of the call. What local firewalls drop is not heard. */
export function watchTooBig(): TooBigWatch {
  const sockets: { fd: number; parse: typeof parseTooBig4 }[] = [];
  let deaf: string | null = null;
  for (const [family, protocol, listen, parse] of [
    [AF_INET, IPPROTO_ICMP, listen4, parseTooBig4],
    [AF_INET6, IPPROTO_ICMPV6, listen6, parseTooBig6],
  ] as const) {
    const fd = libc.socket(family, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd >= 0 && listen(fd)) sockets.push({ fd, parse });
    else {
      deaf = errnoText(errno());
      if (fd >= 0) libc.close(fd);
    }
  }
  const packet = new Uint8Array(LONGEST);
  return {
    deaf,
    read: () =>
      sockets.flatMap(({ fd, parse }) => {
        const heard: TooBig[] = [];
        for (let i = 0; i < MOST; i++) {
          const length = libc.recv(fd, ptr(packet), LONGEST, MSG_DONTWAIT);
          if (length < 0) break;
          const error = parse(packet.subarray(0, length));
          if (error) heard.push(error);
        }
        return heard;
      }),
    close() {
      for (const { fd } of sockets.splice(0)) libc.close(fd);
    },
  };
}

/** One bit for each type that is not wanted; of IPv6 256 of them, as words of the host's own order. */
function listen4(fd: number): boolean {
  const types = new Uint32Array([~(1 << UNREACHABLE)]);
  if (libc.setsockopt(fd, SOL_RAW, ICMP_FILTER, ptr(types), types.byteLength) !== 0) return false;
  // X: the header's length; then the code, and the protocol of what is quoted.
  const code = [...LOAD_X_HEADER, ...loadByte(1), ...jump(FRAGMENTATION_NEEDED, 0, 1 + TUNNELS.length)];
  return attachFilter(fd, [...code, ...loadByte(ICMP_HEADER + 9), ...oneOf(TUNNELS)]);
}

function listen6(fd: number): boolean {
  const types = new Uint32Array(8).fill(0xffff_ffff);
  types[0] = ~(1 << ICMP6_TOO_BIG);
  if (libc.setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, ptr(types), types.byteLength) !== 0) return false;
  return attachFilter(fd, [...LOAD_X_NOTHING, ...loadByte(ICMP_HEADER + 6), ...oneOf(TUNNELS)]);
}

/** Instructions of classic BPF, <linux/filter.h>: code, jump when true, when false, value. */
type Instruction = readonly [number, number, number, number];
const LOAD_X_HEADER: Instruction[] = [[0xb1, 0, 0, 0]];
const LOAD_X_NOTHING: Instruction[] = [[0x01, 0, 0, 0]];
/** A := the byte at X + `at`. */
const loadByte = (at: number): Instruction[] => [[0x50, 0, 0, at]];
const jump = (value: number, yes: number, no: number): Instruction[] => [[0x15, yes, no, value]];
const ALL = 0xffff;
/** Ends it: takes the packet where A is one of these. */
const oneOf = (values: readonly number[]): Instruction[] => [
  ...values.flatMap((value, i) => jump(value, values.length - i, 0)),
  [0x06, 0, 0, 0],
  [0x06, 0, 0, ALL],
];

/** Errors about what else this host sends are not queued: a flood of them leaves room for ours. */
function attachFilter(fd: number, program: readonly Instruction[]): boolean {
  const head = new BigUint64Array(2);
  const code = new Uint8Array(8 * program.length);
  for (const [i, [op, yes, no, value]] of program.entries()) {
    const at = new DataView(code.buffer, 8 * i);
    at.setUint16(0, op, true);
    at.setUint8(2, yes);
    at.setUint8(3, no);
    at.setUint32(4, value, true);
  }
  // struct sock_fprog: length, and after padding where it is.
  head[0] = BigInt(program.length);
  head[1] = BigInt(ptr(code));
  return libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, ptr(head), head.byteLength) === 0;
}
