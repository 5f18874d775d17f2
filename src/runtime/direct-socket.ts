import { ptr } from "./ffi.ts";
import { errno, libc } from "./libc.ts";
import { fromSockaddr } from "./socket-address.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL, SO_LINGER, SOL_SOCKET } from "./socket-constants.ts";
import type { TcpHandlers, TcpSocket } from "./tcp.ts";
import "./augment.d.ts";

const EAGAIN = 11;
/** `struct linger { 1, 0 }`: close(2) resets. */
const RESET = new Int32Array([1, 0]);
const name = new Uint8Array(28);
const nameSize = new Uint32Array(1);

/** What the sockets of one listener share. */
export interface DirectOwner<D> {
  readonly handlers: TcpHandlers<D>;
  /** The handlers in the form that `Bun.connect` takes; its `open` does nothing. */
  readonly bunHandlers: Bun.SocketHandler<D>;
}

/**
 * A connection that was accepted and is read and written by system calls alone, without a place in Bun's event loop.
 * For a short exchange that saves most of what a connection costs beside the kernel's own work. It stands for a
 * `TcpSocket` as long as nothing has to be waited for; before that, `adopt` hands it to Bun, and `moved` tells its user
 * of the socket to use from then on.
 */
export class DirectSocket<D> {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** -1 once it is closed: the number may soon be another's. */
  fd: number;
  closed = false;
  /** Called once when it closes itself, or when Bun takes it over. */
  left: ((socket: DirectSocket<unknown>) => void) | null = null;
  private inner: TcpSocket<D> | null = null;
  private readonly owner: DirectOwner<D>;
  data: D;

  /** `peer`: the sockaddr that accept(2) gave. */
  constructor(fd: number, peer: Uint8Array, data: D, owner: DirectOwner<D>) {
    this.fd = fd;
    this.data = data;
    this.owner = owner;
    const { address, port } = fromSockaddr(peer);
    this.remoteAddress = address;
    this.remotePort = port;
  }

  /** As a `TcpSocket`'s: bytes taken; after a short write `drain` follows. -1: the connection is gone. */
  write(bytes: Buffer, offset: number, length: number): number {
    if (this.inner !== null) return this.inner.write(bytes, offset, length);
    if (this.closed) return -1;
    const sent = libc.send(this.fd, ptr(bytes, offset), length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent === length) return sent;
    const lost = sent < 0 && errno() !== EAGAIN;
    // Bun waits for room, or finds the error and says `close`.
    this.adopt();
    return lost ? -1 : Math.max(0, sent);
  }

  /** Nothing is read before Bun has it. */
  pause(): void {
    this.adopt()?.pause();
  }

  resume(): void {
    this.inner?.resume();
  }

  /** Sends FIN and waits for the peer's. */
  shutdown(): void {
    this.adopt()?.shutdown();
  }

  /** Resets the connection. */
  terminate(): void {
    if (this.inner !== null) {
      this.inner.terminate();
      return;
    }
    if (!this.closed) libc.setsockopt(this.fd, SOL_SOCKET, SO_LINGER, ptr(RESET), RESET.byteLength);
    this.close();
  }

  /** close(2): FIN behind what was written. Only where the peer sends nothing more. */
  close(): void {
    if (this.inner !== null) {
      this.inner.close();
      return;
    }
    if (this.closed) return;
    this.closed = true;
    this.left?.(this as DirectSocket<unknown>);
    libc.close(this.fd);
    this.fd = -1;
    this.owner.handlers.close?.(this as unknown as TcpSocket<D>);
  }

  /** Hands the connection to Bun's event loop, once. @returns its socket there; null when it is closed. */
  adopt(): TcpSocket<D> | null {
    if (this.inner !== null || this.closed) return this.inner;
    this.left?.(this as DirectSocket<unknown>);
    this.left = null;
    const { bunHandlers, handlers } = this.owner;
    const open = (socket: Bun.Socket<D>): void => {
      this.inner = socket;
    };
    const options = { fd: this.fd, data: this.data, allowHalfOpen: true, socket: { ...bunHandlers, open } };
    try {
      void Bun.connect<D>(options as unknown as Bun.TCPSocketConnectOptions<D>).catch(() => {});
    } catch {
      this.close();
      return null;
    }
    if (this.inner !== null) handlers.moved?.(this.inner);
    return this.inner;
  }

  get localAddress(): string {
    return this.local().address;
  }

  get localPort(): number {
    return this.local().port;
  }

  private local(): { address: string; port: number } {
    nameSize[0] = name.length;
    libc.getsockname(this.fd, ptr(name), ptr(nameSize));
    return fromSockaddr(name);
  }
}
