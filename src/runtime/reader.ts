import { ptr } from "./ffi.ts";
import { libc } from "./libc.ts";

const POLLERR = 8;
const POLLHUP = 16;

/** Has whoever reads what we write to `fd`, a pipe, a socket or a terminal, gone? Seen without writing, as by poll(2). */
export function readerGone(fd: number): boolean {
  // struct pollfd: asked for nothing, for these two are told in any case.
  const polled = Int32Array.of(fd, 0);
  return libc.poll(ptr(polled), 1, 0) === 1 && ((polled[1]! >>> 16) & (POLLERR | POLLHUP)) !== 0;
}
