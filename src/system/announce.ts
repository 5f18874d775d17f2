import { isIPv6, toBytes16 } from "../core/address.ts";
import { ok, type Result, refuse, SluiceError } from "../core/problem.ts";
import { ptr } from "../runtime/ffi.ts";
import { cstring, errno, errnoText, libc } from "../runtime/libc.ts";
import { transfer } from "../runtime/message.ts";
import { SOCK_CLOEXEC, SOCK_RAW } from "../runtime/socket-constants.ts";
import { hostProblem } from "./host-command.ts";
import { linksSync } from "./ip.ts";

/** <linux/if_packet.h>, <bits/socket.h> */
const AF_PACKET = 17;
const ETH_P_ARP = 0x0806;
const ETH_P_IPV6 = 0x86dd;

/** `aa:bb:cc:dd:ee:ff` to 6 bytes. */
export const macBytes = (mac: string): Uint8Array =>
  Uint8Array.from(mac.split(":").map((part) => Number.parseInt(part, 16)));

/**
 * A gratuitous ARP frame (RFC 5227 section 3): sender and target are both the address. Two forms exist, since some
 * stacks learn only from requests and others only from replies.
 */
export function gratuitousArp(mac: string, address: string, form: "request" | "reply"): Uint8Array {
  const own = macBytes(mac);
  const ip = toBytes16(address).subarray(12);
  const frame = new Uint8Array(60);
  frame.fill(0xff, 0, 6);
  frame.set(own, 6);
  // Ethernet type ARP; hardware Ethernet, protocol IPv4, lengths 6 and 4; operation.
  frame.set([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, form === "request" ? 1 : 2], 12);
  frame.set(own, 22);
  frame.set(ip, 28);
  // The target's link address is ignored in a request and is ours in a reply.
  if (form === "reply") frame.set(own, 32);
  frame.set(ip, 38);
  return frame;
}

/** An unsolicited neighbour advertisement frame (RFC 4861 section 7.2.6): override, to all nodes, with our link address. */
export function unsolicitedNeighbour(mac: string, address: string): Uint8Array {
  const own = macBytes(mac);
  const ip = toBytes16(address);
  const allNodes = toBytes16("ff02::1");
  const icmp = new Uint8Array(32);
  // Type 136, code 0, checksum; flags: override. Option 2: target link address, one unit of 8 bytes.
  icmp.set([136, 0, 0, 0, 0x20, 0, 0, 0], 0);
  icmp.set(ip, 8);
  icmp.set([2, 1], 24);
  icmp.set(own, 26);
  const sum = internetChecksum([ip, allNodes, Uint8Array.from([0, 0, 0, icmp.length, 0, 0, 0, 58]), icmp]);
  icmp.set([sum >> 8, sum & 0xff], 2);
  const frame = new Uint8Array(14 + 40 + icmp.length);
  frame.set([0x33, 0x33, 0, 0, 0, 1], 0);
  frame.set(own, 6);
  // Ethernet type IPv6; version 6; payload length, next header ICMPv6, hop limit 255 (receivers insist on it).
  frame.set([0x86, 0xdd, 0x60, 0, 0, 0, 0, icmp.length, 58, 255], 12);
  frame.set(ip, 22);
  frame.set(allNodes, 38);
  frame.set(icmp, 54);
  return frame;
}

/** The Internet checksum (RFC 1071) over parts of even length each. */
export function internetChecksum(parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) for (let i = 0; i < part.length; i += 2) sum += (part[i]! << 8) | (part[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** struct sockaddr_ll for a device; 20 bytes. */
function linkAddress(index: number, protocol: number): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, protocol);
  view.setInt32(4, index, true);
  return bytes;
}

/** A packet socket bound to one device. */
interface FrameSocket {
  send(frames: readonly Uint8Array[]): Result<null>;
  close(): void;
}

/** Sends frames, whole with their Ethernet headers, out of a device. Errors: SLUICE_PRIVILEGE. */
export function openFrameSocket(device: string, protocol: number): Result<FrameSocket> {
  const fail = (what: string): Result<never> => {
    const why = errnoText(errno());
    return refuse(hostProblem("SLUICE_PRIVILEGE", `${what} on ${device}: ${why}`, "This needs CAP_NET_RAW."));
  };
  const fd = libc.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail("a packet socket cannot be made");
  const to = linkAddress(libc.if_nametoindex(ptr(cstring(device))), protocol);
  if (libc.bind(fd, ptr(to), to.length) !== 0) {
    const failed = fail("a packet socket cannot be bound");
    libc.close(fd);
    return failed;
  }
  const sendOne = (frame: Uint8Array): boolean => transfer(libc.sendmsg, fd, frame, 0).done >= 0;
  return ok({
    send: (frames) => (frames.every(sendOne) ? ok(null) : fail("a frame cannot be sent")),
    close: () => void libc.close(fd),
  });
}

/** ms. Linux ignores an ARP that changes an entry younger than `neigh.locktime`, 1 s: so everything is said twice. */
const AGAIN_AFTER = 1200;

/** What is to be said of addresses a second time, by address. */
type Pending = Map<string, readonly Uint8Array[]>;
const pending = new Set<{ device: string; left: Pending }>();

const framesOf = (mac: string, address: string): Uint8Array[] =>
  isIPv6(address)
    ? [unsolicitedNeighbour(mac, address)]
    : [gratuitousArp(mac, address, "request"), gratuitousArp(mac, address, "reply")];

/**
 * Tells everyone on the link that these addresses are at this device now, at once and again a little later: gratuitous
 * ARP in both forms, or an unsolicited neighbour advertisement. A device without a link address has nobody to tell.
 * Throws SluiceError (SLUICE_PRIVILEGE).
 */
export async function announce(device: string, addresses: readonly string[]): Promise<void> {
  const all = linksSync();
  const link = all.ok ? all.value.find((l) => l.name === device) : undefined;
  if (!link?.mac || !link.up) return;
  const { mac } = link;
  for (const [v6, some] of Map.groupBy(addresses, isIPv6)) {
    const socket = openFrameSocket(device, v6 ? ETH_P_IPV6 : ETH_P_ARP);
    if (!socket.ok) throw new SluiceError(socket.problems[0]!);
    for (const address of some) stopAnnouncing(device, address);
    const left: Pending = new Map(some.map((address) => [address, framesOf(mac, address)]));
    const sent = socket.value.send([...left.values()].flat());
    const again = { device, left };
    pending.add(again);
    setTimeout(() => {
      pending.delete(again);
      socket.value.send([...left.values()].flat());
      socket.value.close();
    }, AGAIN_AFTER).unref();
    if (!sent.ok) throw new SluiceError(sent.problems[0]!);
  }
}

/** The address is no longer ours: what is left to say of it is not said. */
export function stopAnnouncing(device: string, address: string): void {
  for (const one of pending) if (one.device === device) one.left.delete(address);
}
