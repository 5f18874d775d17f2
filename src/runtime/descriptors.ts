import { ptr } from "./ffi.ts";
import { errno, errnoText, libc } from "./libc.ts";
import { closeFd } from "./listen.ts";
import { AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_SEQPACKET, SOL_SOCKET } from "./socket-constants.ts";

const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const F_DUPFD_CLOEXEC = 1030;
/** Descriptors in one message. The kernel allows 253; few keep the numbers below `from` that they first come under. */
const MOST = 32;
/** Octets of `struct cmsghdr`. */
const CONTROL_HEAD = 16;

/** The two ends of a channel over which descriptors go from one process to another (unix(7), SCM_RIGHTS). */
export function descriptorChannel(): [number, number] {
  const ends = new Int32Array(2);
  if (libc.socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ptr(ends)) !== 0)
    throw new Error(`socketpair: ${errnoText(errno())}`);
  return [ends[0]!, ends[1]!];
}

/** sendmsg(2) or recvmsg(2) of one octet with this control data; returns what came of it. */
function transfer(call: typeof libc.sendmsg, channel: number, control: Uint8Array, flags: number): number {
  const octet = new Uint8Array(1);
  const part = new BigUint64Array([BigInt(ptr(octet)), 1n]);
  // struct msghdr: no name (both ends are connected), one part, control data.
  const header = new BigUint64Array([0n, 0n, BigInt(ptr(part)), 1n, BigInt(ptr(control)), BigInt(control.length), 0n]);
  return Number(call(channel, ptr(header), flags | MSG_DONTWAIT));
}

/** Sends copies of descriptors, in order. Never waits. False when the other end is gone or takes no more. */
export function sendDescriptors(channel: number, fds: readonly number[]): boolean {
  for (let at = 0; at < fds.length; at += MOST) {
    const some = fds.slice(at, at + MOST);
    // A control message is padded to whole words.
    const control = new Uint8Array((CONTROL_HEAD + 4 * some.length + 7) & ~7);
    const view = new DataView(control.buffer);
    view.setBigUint64(0, BigInt(CONTROL_HEAD + 4 * some.length), true);
    view.setInt32(8, SOL_SOCKET, true);
    view.setInt32(12, SCM_RIGHTS, true);
    for (const [i, fd] of some.entries()) view.setInt32(CONTROL_HEAD + 4 * i, fd, true);
    if (transfer(libc.sendmsg, channel, control, MSG_NOSIGNAL) !== 1) return false;
  }
  return true;
}

/**
 * Takes `count` descriptors that have been sent, under the numbers `from`, `from + 1` … (CLOEXEC). Throws when they are
 * not there, or one of the numbers is in use.
 */
export function takeDescriptors(channel: number, count: number, from: number): void {
  for (let next = from; next < from + count; ) {
    const control = new Uint8Array(CONTROL_HEAD + 4 * MOST);
    if (transfer(libc.recvmsg, channel, control, MSG_CMSG_CLOEXEC) !== 1) throw new Error("descriptors have not come");
    const view = new DataView(control.buffer);
    for (let at = CONTROL_HEAD; at < Number(view.getBigUint64(0, true)); at += 4) {
      const came = view.getInt32(at, true);
      const placed = libc.fcntl(came, F_DUPFD_CLOEXEC, next);
      closeFd(came);
      if (placed !== next++) throw new Error(`descriptor ${next - 1} is in use`);
    }
  }
}
