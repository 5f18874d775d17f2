import { OUT } from "../runtime/outbox.ts";
import type { TcpSocket } from "../runtime/tcp.ts";
import type { Backends } from "./backends.ts";
import { Client, Reading } from "./client.ts";
import { Cell } from "./service-state.ts";
import type { Upstream } from "./upstream.ts";
import { LARGE, MOST, MOVES } from "./wire.ts";

/**
 * A client joined to one backend connection: what comes from the backend goes to the client, and when that does not
 * take it, the backend is not read. After an upgrade the same holds in the other direction, and each side can close its
 * half (RFC 9110 7.8).
 */
export abstract class Tunneller extends Client<Backends> {
  protected upstream: Upstream | null = null;
  /** The backend that the request under way is at; -1: none. */
  protected backend = -1;
  /** Offset in OUT of the message being put together for the client. */
  protected out = 0;
  private upstreamEnded = false;

  protected delivered(size: number): void {
    const { cells } = this.service!;
    this.outBytes += size;
    cells.add(-1, Cell.bytesOut, size);
    cells.add(this.backend, Cell.bytesOut, size);
  }

  sent(): void {
    if (this.out > 0) {
      const size = this.out;
      this.out = 0;
      this.send(OUT, 0, size);
    }
    if (this.queued === 0) return;
    this.upstream?.pause();
    this.stalled();
  }

  moves(from: TcpSocket<unknown> | null, most: number): number {
    const size = this.splice(from, most);
    if (size > 0) this.delivered(size);
    this.sent();
    return size;
  }

  get full(): boolean {
    return this.queued > 0;
  }

  protected override flushed(): void {
    const { upstream } = this;
    if (upstream === null) return;
    upstream.resume();
    if (this.reading === Reading.TUNNEL && this.upstreamEnded) this.socket?.shutdown();
  }

  protected override tunnel(chunk: Buffer): void {
    const { upstream } = this;
    if (upstream === null) return;
    const { cells } = this.service!;
    cells.add(-1, Cell.bytesIn, chunk.length);
    cells.add(this.backend, Cell.bytesIn, chunk.length);
    upstream.send(chunk, 0, chunk.length);
    if (chunk.length >= LARGE) this.tunnelOn(upstream);
    upstream.alive();
    if (upstream.queued > 0) this.pause();
  }

  /** Passes on what has come behind a large chunk. */
  private tunnelOn(upstream: Upstream): void {
    const { cells } = this.service!;
    for (let k = 0; k < MOVES; k++) {
      const size = upstream.splice(this.socket, MOST);
      if (size < 0) this.terminate();
      if (size <= 0) return;
      cells.add(-1, Cell.bytesIn, size);
      cells.add(this.backend, Cell.bytesIn, size);
    }
  }

  tunnelled(bytes: Buffer, start: number, end: number): void {
    if (end === start) return;
    this.delivered(end - start);
    this.send(bytes, start, end);
    this.sent();
    if (end - start < LARGE || this.upstream === null) return;
    let size = 1;
    for (let k = 0; k < MOVES && size > 0; k++) size = this.moves(this.upstream.socket, MOST);
    if (size < 0) this.upstream.closed(true);
  }

  halfClosed(): void {
    this.upstreamEnded = true;
    if (this.queued === 0) this.socket?.shutdown();
  }

  /** Is a tunnel open? Then only its two ends, or a deadline, close it. */
  get tunnelling(): boolean {
    return this.reading === Reading.TUNNEL;
  }
}
