import { ptr } from "./ffi.ts";
import { errno, libc } from "./libc.ts";
import type { TcpSocket } from "./tcp.ts";
import "./augment.d.ts";

const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const F_SETPIPE_SZ = 1031;
const SPLICE_F_MOVE = 1;
const SPLICE_F_NONBLOCK = 2;
/** Most that one call moves, and what the pipe is asked to hold; bytes. */
const MOST = 1 << 20;

/** The ends of the process's pipe, made when it is first needed; null: this host gives none. */
let pipe: Int32Array | null | undefined;

function makePipe(): Int32Array | null {
  const ends = new Int32Array(2);
  if (libc.pipe2(ptr(ends), O_NONBLOCK | O_CLOEXEC) !== 0) return null;
  // Without it the pipe holds 16 pieces: slower, not wrong.
  libc.fcntl(ends[1]!, F_SETPIPE_SZ, MOST);
  return ends;
}

/**
 * What one move did. `taken`: bytes that came out of `from`; 0: none now; -1: `from` is broken, which nobody is told
 * again, for an error is read once. `stuck`: the last of the bytes, which `to` did not take.
 */
export interface Moved {
  taken: number;
  stuck: Buffer | null;
}

const nothing: Moved = { taken: 0, stuck: null };
const broken: Moved = { taken: -1, stuck: null };
const EAGAIN = 11;

/**
 * Moves what plain TCP socket `from` has for us right now, at most `length` bytes, to `to`, inside the kernel and past Bun
 * (splice(2)): no byte is copied. To be called in the `data` of `from` only, when nothing waits for `to`: so the order
 * holds. When nothing comes, Bun says as ever whether that is the end. Bun ignores SIGPIPE, as it must be.
 */
export function moveBytes(from: TcpSocket<unknown>, to: TcpSocket<unknown>, length: number): Moved {
  if (pipe === undefined) pipe = makePipe();
  if (pipe === null) return nothing;
  const [out, into] = pipe as unknown as [number, number];
  const flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
  const taken = libc.splice(from.fd, null, into, null, Math.min(length, MOST), flags);
  if (taken <= 0) return taken < 0 && errno() !== EAGAIN ? broken : nothing;
  let left = taken;
  while (left > 0) {
    const gone = libc.splice(out, null, to.fd, null, left, flags);
    if (gone <= 0) break;
    left -= gone;
  }
  return { taken, stuck: left === 0 ? null : takeBack(out, left) };
}

/** Empties the pipe: the next move must not find another's bytes in it. */
function takeBack(out: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let at = 0; at < length; ) {
    const size = libc.read(out, ptr(bytes, at), length - at);
    if (size <= 0) throw new Error("a pipe has lost bytes");
    at += size;
  }
  return bytes;
}
