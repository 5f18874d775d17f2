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
/** What a connection that passed Bun by gains, and one that Bun had to take over loses; the most, and the first, trust. */
const [GAIN, LOSS, MOST_TRUST] = [8, 1, 64];
/** Without trust one connection is tried for so many that Bun accepts. */
const TRY_EVERY = 32;
/** A connection that rests longer is watched for its end, ms; up to twice that. */
const REST = 50;

const first: Buffer = Buffer.allocUnsafeSlow(FIRST);
const peer = new Uint8Array(28);
const peerSize = new Uint32Array(1);

/**
 * Takes what waits in a listener's queue by accept(2), and the first bytes of each by recv(2), whenever Bun has
 * accepted one: so a burst of connections with one short request each passes Bun's event loop by. The kernel shows a
 * connection only when its first bytes are there (TCP_DEFER_ACCEPT), or after a second. Where connections live on, which
 * costs more this way and not less, it lets them be, and tries one now and then.
 */
export class DirectAccept<D> {
  private left = BURST;
  private trust = MOST_TRUST;
  private passed = 0;
  private stopped = false;
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
    if (this.trust === 0 && ++this.passed % TRY_EVERY !== 0) return;
    const { left } = this;
    while (this.left > 0) {
      peerSize[0] = peer.length;
      const fd = libc.accept4(this.listener, ptr(peer), ptr(peerSize), SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) break;
      this.left--;
      this.begin(new DirectSocket(fd, peer, this.makeData(), this.owner));
      if (this.trust === 0) break;
    }
    if (left === BURST && this.left < BURST) setImmediate(this.again);
  }

  /** Those that have come meanwhile are taken before Bun looks; until a turn brings none. */
  private readonly again = (): void => {
    this.left = BURST;
    if (this.trust > 0 && !this.stopped) this.takeMore();
  };

  /** The listener is closed: its descriptor may soon be another's. */
  stop(): void {
    this.stopped = true;
  }

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
    const rests = size > 0 && size < FIRST && (direct.closed || handlers.rests?.(socket) === true);
    this.trust = Math.max(0, Math.min(MOST_TRUST, this.trust + (rests ? GAIN : -LOSS)));
    if (direct.closed) return;
    if (rests) rest(direct);
    else direct.adopt();
  }
}

/** Those that rest since the last look, and those that have rested longer. */
let fresh = new Set<DirectSocket<unknown>>();
let older = new Set<DirectSocket<unknown>>();
let looking: ReturnType<typeof setInterval> | null = null;

function rest<D>(socket: DirectSocket<D>): void {
  fresh.add(socket as DirectSocket<unknown>);
  socket.left = forget;
  looking ??= setInterval(look, REST);
}

/** What is over is held no longer: young garbage is cheap. */
function forget(socket: DirectSocket<unknown>): void {
  if (!fresh.delete(socket)) older.delete(socket);
}

function look(): void {
  for (const socket of older) socket.adopt();
  older = fresh;
  fresh = new Set();
  if (older.size > 0 || looking === null) return;
  clearInterval(looking);
  looking = null;
}
