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
 * follows. Nothing may wait for the socket.
 */
export function sendOut(socket: TcpSocket<unknown>, from: number, length: number): number {
  const sent = libc.send(socket.fd, (start + from) as Pointer, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent === length) return sent;
  const done = Math.max(0, sent);
  const more = socket.write(OUT, from + done, length - done);
  return more < 0 ? more : done + more;
}
