import { type Pointer, ptr } from "./ffi.ts";
import { libc } from "./libc.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL } from "./socket-constants.ts";
import type { TcpSocket } from "./tcp.ts";
import "./augment.d.ts";

/** Where messages are put together; one per process, never kept over a call. Room for the largest head and a piece. */
export const OUT: Buffer = Buffer.allocUnsafeSlow(640 * 1024);
const start: number = ptr(OUT);

/**
 * Writes `OUT[from, from + length)` to a plain TCP socket, as its `write` does, by the system call alone: finding out what
 * and where to write costs Bun 0.2 us. What the kernel does not take goes the usual way, so that `drain` or `close`
 * follows. Nothing may wait for the socket. `fd`: its descriptor; -1 once it is closed.
 */
export function sendOut(socket: TcpSocket<unknown>, fd: number, from: number, length: number): number {
  const sent = libc.send(fd, (start + from) as Pointer, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent === length) return sent;
  const done = Math.max(0, sent);
  const more = socket.write(OUT, from + done, length - done);
  return more < 0 ? more : done + more;
}

/**
 * `struct iovec [2]`, then the `struct msghdr` that names it; in words of 32 bits. Over buffers of their own: the memory
 * of a small array without one moves when the engine gives it one.
 */
const vector = new Uint32Array(new ArrayBuffer(32));
const message = new Uint32Array(new ArrayBuffer(56));
const setAddress = (words: Uint32Array, at: number, address: number): void => {
  words[at] = address >>> 0;
  words[at + 1] = Math.floor(address / 2 ** 32);
};
setAddress(vector, 0, start);
setAddress(message, 4, ptr(vector));
message[6] = 2;

/**
 * Writes `OUT[0, length)` and behind it `bytes[from, to)` by one system call: a body that is not small costs less so than
 * by a copy. Nothing may wait for the socket, whose descriptor is `fd`. @returns bytes taken. When that is not all the rest must go the usual way,
 * so that `drain` or `close` follows.
 */
export function sendWith(fd: number, length: number, bytes: Uint8Array, from: number, to: number): number {
  vector[2] = length;
  setAddress(vector, 4, ptr(bytes, from));
  vector[6] = to - from;
  return Math.max(0, Number(libc.sendmsg(fd, ptr(message), MSG_DONTWAIT | MSG_NOSIGNAL)));
}
