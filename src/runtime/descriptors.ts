import { ptr } from "./ffi.ts";
import { errno, errnoText, libc } from "./libc.ts";
import { closeFd } from "./listen.ts";
import { transfer } from "./message.ts";
import { AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_SEQPACKET, SOL_SOCKET } from "./socket-constants.ts";

const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const F_DUPFD_CLOEXEC = 1030;
/**
 * Descriptors in one packet. The kernel allows 253; few keep the numbers that they first come under below those that
 * `takeDescriptors` gives them.
 */
export const MOST_DESCRIPTORS = 32;
/** Octets of a packet's text. */
const MOST_TEXT = 16 * 1024;
/** Octets of `struct cmsghdr`. */
const CONTROL_HEAD = 16;

/** A message with descriptors: of the sender on its way out, of the receiver when it has come (CLOEXEC). */
export interface Packet {
  /** Not empty; at most 16 KiB. */
  text: string;
  fds: number[];
}

/** The two ends of a channel over which descriptors go from one process to another (unix(7), SCM_RIGHTS). */
export function descriptorChannel(): [number, number] {
  const ends = new Int32Array(2);
  if (libc.socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ptr(ends)) !== 0)
    throw new Error(`socketpair: ${errnoText(errno())}`);
  return [ends[0]!, ends[1]!];
}

/** Sends a packet: copies of its descriptors. False when the other end is gone, or takes no more now. */
export function sendPacket(channel: number, { text, fds }: Packet): boolean {
  // A control message is padded to whole words.
  const control = new Uint8Array(fds.length === 0 ? 0 : (CONTROL_HEAD + 4 * fds.length + 7) & ~7);
  if (fds.length > 0) {
    const view = new DataView(control.buffer);
    view.setBigUint64(0, BigInt(CONTROL_HEAD + 4 * fds.length), true);
    view.setInt32(8, SOL_SOCKET, true);
    view.setInt32(12, SCM_RIGHTS, true);
    for (const [i, fd] of fds.entries()) view.setInt32(CONTROL_HEAD + 4 * i, fd, true);
  }
  const bytes = Buffer.from(text);
  return transfer(libc.sendmsg, channel, bytes, MSG_NOSIGNAL | MSG_DONTWAIT, control).done === bytes.length;
}

const incoming = Buffer.allocUnsafeSlow(MOST_TEXT);

/** Takes the next packet; null: none is there. */
export function takePacket(channel: number): Packet | null {
  const control = new Uint8Array(CONTROL_HEAD + 4 * MOST_DESCRIPTORS);
  const { done, around } = transfer(libc.recvmsg, channel, incoming, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, control);
  if (done <= 0) return null;
  const fds: number[] = [];
  const view = new DataView(control.buffer);
  if (around > 0)
    for (let at = CONTROL_HEAD; at < Number(view.getBigUint64(0, true)); at += 4) fds.push(view.getInt32(at, true));
  return { text: incoming.toString("utf8", 0, done), fds };
}

/** Sends copies of descriptors, in order. False when the other end is gone or takes no more. */
export function sendDescriptors(channel: number, fds: readonly number[]): boolean {
  for (let at = 0; at < fds.length; at += MOST_DESCRIPTORS)
    if (!sendPacket(channel, { text: "fds", fds: fds.slice(at, at + MOST_DESCRIPTORS) })) return false;
  return true;
}

/**
 * Takes `count` descriptors that have been sent, under the numbers `from`, `from + 1` … (CLOEXEC). Throws when they are
 * not there, or one of the numbers is in use.
 */
export function takeDescriptors(channel: number, count: number, from: number): void {
  for (let next = from; next < from + count; ) {
    const packet = takePacket(channel);
    if (packet === null) throw new Error("descriptors have not come");
    for (const came of packet.fds) {
      const placed = libc.fcntl(came, F_DUPFD_CLOEXEC, next);
      closeFd(came);
      if (placed !== next++) throw new Error(`descriptor ${next - 1} is in use`);
    }
  }
}
