import { OUT, sendOut, sendWith } from "../runtime/outbox.ts";
import { readerGone } from "../runtime/reader.ts";
import { moveBytes } from "../runtime/splice.ts";
import type { TcpSocket } from "../runtime/tcp.ts";
import { Timed } from "./wheel.ts";

/**
 * Pieces up to this size are copied beside what precedes them, so that a message leaves in one write; and the last piece
 * that is at hand, which leaves with what precedes it as it is, up to that one; bytes.
 */
const GATHER = 32 * 1024;
const GATHER_LAST = 4 * 1024;

/** With so many bytes of a body to come they are moved by the kernel; and how often for each of Bun's chunks. */
export const LARGE = 64 * 1024;
export const MOVES = 4;
/** Most that is moved at a time where no length is known; bytes. */
export const MOST = 1 << 20;

const NOTHING: Buffer[] = [];

/**
 * A socket with a deadline, and its sending half; extend it. What the kernel does not take waits here, and whoever fills
 * it looks at `queued` and stops reading its source. Nothing is ever sent twice or out of order. A part of its
 * connection and not an object beside it: with a thousand connections each object is one more that is in no cache.
 */
export abstract class Wire extends Timed {
  socket: TcpSocket<unknown> | null = null;
  /** The socket's descriptor; to ask for it is dear, and touches two objects of Bun's. */
  private fd = -1;
  /** Bytes waiting. */
  queued = 0;
  /** Bytes that the kernel has taken, ever. */
  taken = 0;
  private queue: Buffer[] = NOTHING;

  /** Sends by this socket from now on. Its `close` must lead to `drop` before anything else is sent. */
  attach(socket: TcpSocket<unknown>): void {
    this.socket = socket;
    this.fd = socket.fd;
  }

  /** Sends `bytes[start, end)`. Those of `OUT` will be overwritten, so what stays behind of them is copied. */
  send(bytes: Buffer, start: number, end: number): void {
    const { socket } = this;
    if (end <= start || socket === null) return;
    if (this.queued === 0) {
      const size = end - start;
      const written = bytes === OUT ? sendOut(socket, this.fd, start, size) : socket.write(bytes, start, size);
      if (written < 0) return; // closed: the close handler follows
      this.taken += written;
      start += written;
      if (start === end) return;
    }
    const rest = bytes.subarray(start, end);
    if (this.queue === NOTHING) this.queue = [];
    this.queue.push(bytes === OUT ? Buffer.from(rest) : rest);
    this.queued += end - start;
  }

  /**
   * Adds `bytes[start, end)` to a message under way in `OUT[0, at)`: small pieces are copied, a large one is sent as it
   * is together with what stands before it. @returns the new `at`.
   */
  gather(at: number, bytes: Buffer, start: number, end: number): number {
    const size = end - start;
    const copied = end === bytes.length ? GATHER_LAST : GATHER;
    if (size <= copied && at + size <= OUT.length) {
      bytes.copy(OUT, at, start, end);
      return at + size;
    }
    let taken = 0;
    if (at > 0 && this.queued === 0 && this.socket !== null) {
      taken = sendWith(this.fd, at, bytes, start, end);
      this.taken += taken;
    }
    this.send(OUT, Math.min(taken, at), at);
    this.send(bytes, start + Math.max(0, taken - at), end);
    return 0;
  }

  /**
   * Sends what `from` has right now, at most `length` bytes, without looking at it. Nothing may wait here.
   * @returns bytes that came out of `from`, what was not taken waits; -1: `from` was reset, and only this call knows.
   */
  splice(from: TcpSocket<unknown> | null, length: number): number {
    if (this.socket === null || from === null || this.queued > 0) return 0;
    const { taken, stuck } = moveBytes(from, this.socket, length);
    if (taken <= 0) return taken;
    this.taken += taken - (stuck?.length ?? 0);
    if (stuck !== null) this.send(stuck, 0, stuck.length);
    return taken;
  }

  /** The socket takes bytes again. @returns true when nothing waits any more. */
  flush(): boolean {
    while (this.queued > 0 && this.socket !== null) {
      const first = this.queue[0]!;
      const written = this.socket.write(first, 0, first.length);
      if (written < 0) return false;
      this.taken += written;
      this.queued -= written;
      if (written < first.length) {
        this.queue[0] = first.subarray(written);
        return false;
      }
      this.queue.shift();
    }
    return true;
  }

  /**
   * At its `end`: is that a reset, whose error went to a write or a move of ours? A FIN alone leaves our half open.
   */
  protected get broken(): boolean {
    return this.fd >= 0 && readerGone(this.fd);
  }

  /** Lets go of everything. */
  drop(): void {
    this.queue = NOTHING;
    this.queued = 0;
    this.socket = null;
    this.fd = -1;
  }
}
