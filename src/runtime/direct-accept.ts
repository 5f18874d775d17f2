import { DirectSocket } from "./direct-socket.ts";
import { ptr } from "./ffi.ts";
import { libc, setIntOption } from "./libc.ts";
import {
  IPPROTO_TCP,
  MSG_DONTWAIT,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  TCP_DEFER_ACCEPT,
  TCP_NODELAY,
} from "./socket-constants.ts";
import type { TcpHandlers, TcpSocket } from "./tcp.ts";

/** Bytes of a connection's first read; what is longer comes by Bun. */
const FIRST = 64 * 1024;
/** Connections taken in one turn of the event loop: those that stand already want their turn too. */
const BURST = 64;
/** A connection that rests longer is watched for its end, ms; up to twice that. */
const REST = 50;

const first: Buffer = Buffer.allocUnsafeSlow(FIRST);
const peer = new Uint8Array(28);
const peerSize = new Uint32Array(1);

/**
 * Takes what waits in a listener's queue by accept(2), and the first bytes of each by recv(2), whenever Bun has
 * accepted one: so a burst of connections with one short request each passes Bun's event loop by. The kernel shows a
 * connection only when its first bytes are there (TCP_DEFER_ACCEPT), or after a second.
 */
export class DirectAccept<D> {
  private left = BURST;
  private readonly listener: number;
  private readonly handlers: TcpHandlers<D>;
  private readonly owner: { handlers: TcpHandlers<D>; bunHandlers: Bun.SocketHandler<D> };
  private readonly makeData: () => D;

  constructor(listener: number, handlers: TcpHandlers<D>, bunHandlers: Bun.SocketHandler<D>, makeData: () => D) {
    this.listener = listener;
    this.handlers = handlers;
    this.owner = { handlers, bunHandlers };
    this.makeData = makeData;
    setIntOption(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
    setIntOption(listener, IPPROTO_TCP, TCP_NODELAY, 1); // what is accepted inherits it
  }

  /** Bun has accepted one connection: takes those behind it. */
  takeMore(): void {
    if (this.left === BURST) setImmediate(this.again);
    while (this.left > 0) {
      peerSize[0] = peer.length;
      const fd = libc.accept4(this.listener, ptr(peer), ptr(peerSize), SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      this.left--;
      this.begin(new DirectSocket(fd, peer, this.makeData(), this.owner));
    }
  }

  private readonly again = (): void => {
    this.left = BURST;
  };

  private begin(direct: DirectSocket<D>): void {
    const { handlers } = this;
    const socket = direct as unknown as TcpSocket<D>;
    let size = 0;
    try {
      handlers.open?.(socket);
      if (direct.closed) return;
      size = libc.recv(direct.fd, ptr(first), FIRST, MSG_DONTWAIT);
      if (size > 0) handlers.data(socket, Buffer.from(first.subarray(0, size)));
    } catch (error) {
      handlers.error?.(socket, error as Error);
    }
    if (direct.closed) return;
    if (size > 0 && size < FIRST && handlers.rests?.(socket)) rest(direct);
    else direct.adopt();
  }
}

/** Those that rest since the last look, and those that have rested longer. */
let fresh: DirectSocket<never>[] = [];
let older: DirectSocket<never>[] = [];
let looking: ReturnType<typeof setInterval> | null = null;

function rest(socket: DirectSocket<never> | DirectSocket<unknown>): void {
  fresh.push(socket as DirectSocket<never>);
  looking ??= setInterval(look, REST);
}

function look(): void {
  for (const socket of older) socket.adopt();
  older = fresh;
  fresh = [];
  if (older.length > 0 || looking === null) return;
  clearInterval(looking);
  looking = null;
}
