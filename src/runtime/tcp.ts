import { DirectAccept } from "./direct-accept.ts";
import { ptr } from "./ffi.ts";
import { libc, setIntOption } from "./libc.ts";
import { IPPROTO_TCP, SIOCOUTQ, TCP_DEFER_ACCEPT, TCP_NOTSENT_LOWAT } from "./socket-constants.ts";
import "./augment.d.ts";

/** A connected socket. `write(bytes, offset, length)` returns the bytes taken (0: full, wait for `drain`; -1: closed). */
export type TcpSocket<D> = Bun.Socket<D>;

/** Never async: a rejection would bypass `error`. */
export interface TcpHandlers<D> {
  open?(socket: TcpSocket<D>): void;
  /** Each chunk has a buffer of its own, up to 512 KiB; it may be kept. */
  data(socket: TcpSocket<D>, chunk: Buffer): void;
  drain?(socket: TcpSocket<D>): void;
  /** The peer sent FIN; our side stays open. */
  end?(socket: TcpSocket<D>): void;
  /** After it the socket is dead. `error` is set when the peer reset it. */
  close?(socket: TcpSocket<D>, error?: Error): void;
  error?(socket: TcpSocket<D>, error: Error): void;
  /** TLS only: the handshake's end. */
  handshake?(socket: TcpSocket<D>, authorized: boolean, error: Error | null): void;
  /** Early data only: nothing is to be read from this one before its answer is out. */
  rests?(socket: TcpSocket<D>): boolean;
  /** Early data only: this socket stands for the same connection from now on. */
  moved?(socket: TcpSocket<D>): void;
}

export interface TcpListener {
  readonly fd: number;
  readonly port: number;
  /** Stops accepting; connections live on. */
  stop(): void;
}

const bunHandlers = <D>(handlers: TcpHandlers<D>): Bun.SocketHandler<D> => ({
  open: handlers.open,
  data: handlers.data,
  drain: handlers.drain,
  end: handlers.end ?? ((socket) => void socket.shutdown()),
  close: handlers.close,
  error: handlers.error ?? (() => {}),
  ...(handlers.handshake ? { handshake: handlers.handshake } : {}),
});

/** Gives every new connection its own data before the user's `open` sees it. */
function accepting<D>(handlers: TcpHandlers<D>, makeData: () => D): Bun.SocketHandler<D> {
  const { open } = handlers;
  return bunHandlers({
    ...handlers,
    open(socket) {
      socket.data = makeData();
      open?.(socket);
    },
  });
}

/**
 * Bytes that may wait unsent for a client. The kernel would take 4 MB for one that reads slowly, and some hundred of such
 * use up the memory of all TCP sockets of the host: then segments of others are dropped, and they wait for seconds.
 */
const UNSENT = 256 * 1024;

/**
 * Serves a listening socket that was made elsewhere (`runtime/listen.ts`); owns the descriptor from then on.
 * `clientFirst`: the clients speak first, so that a connection need not be seen before its first bytes are there.
 */
export function adoptListener<D>(
  fd: number,
  handlers: TcpHandlers<D>,
  makeData: () => D,
  clientFirst = false,
): TcpListener {
  const { open } = handlers;
  setIntOption(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT); // what is accepted inherits it
  const direct = clientFirst ? new DirectAccept(fd, handlers, bunHandlers(handlers), makeData) : null;
  // A service before may have said otherwise.
  if (direct === null) setIntOption(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
  const opened = (socket: TcpSocket<D>): void => {
    open?.(socket);
    direct?.takeMore();
  };
  const listener = Bun.listen<D>({
    fd,
    allowHalfOpen: true,
    socket: accepting({ ...handlers, open: opened }, makeData),
  });
  // Adopting calls listen(2) with a backlog of 512; say ours again.
  libc.listen(fd, 4096);
  const stop = (): void => {
    direct?.stop();
    listener.stop(false);
  };
  return { fd, port: listener.port ?? 0, stop };
}

/** Listens by itself; for tests and programs of the lab. Port 0 takes a free one. */
export function listenTcp<D>(address: string, port: number, handlers: TcpHandlers<D>, makeData: () => D): TcpListener {
  const socket = accepting(handlers, makeData);
  const listener = Bun.listen<D>({
    hostname: address,
    port,
    allowHalfOpen: true,
    socket,
  } as Bun.TCPSocketListenOptions<D>);
  return { fd: listener.fd, port: listener.port, stop: () => listener.stop(false) };
}

/** Why a connection could not be made. `local`: this process has no descriptor or port left; the peer is not to blame. */
export type ConnectFailure = "refused" | "timeout" | "unreachable" | "local";

export interface ConnectOptions<D> {
  address: string;
  port: number;
  /** Bind to this source; port 0 lets the kernel choose. */
  source?: { address: string; port: number };
  /** ms until `failed(…, "timeout")`. */
  timeout: number;
  data: D;
  tls?: Bun.TLSOptions;
}

export interface ConnectHandlers<D> extends TcpHandlers<D> {
  /** Called at most once, and never after `open`. */
  failed(data: D, why: ConnectFailure, detail: string): void;
  /**
   * For who asks for nothing but whether a connection comes about, without TLS: called instead of `open`, and maybe before
   * the call that asked returns, when it stands at once, as on the same host. The connection is reset by then, before the
   * last packet of its handshake, so that the program that listens never hears of it; else it is with `open`.
   */
  stood?(data: D): void;
}

/** How long a half-closed peer may take to close its side, ms. */
export const LINGER = 2000;

/**
 * Ends a connection without destroying what the peer has yet to read: FIN now, and a reset only if the peer has not
 * closed within 2 s. All bytes must have been taken by `write` before. (Bun's `end()` is close(2) and truncates.)
 */
export function closeGently<D>(socket: TcpSocket<D>): void {
  socket.shutdown();
  setTimeout(() => socket.terminate(), LINGER).unref();
}

/** How often is looked whether a peer has all; ms. */
const LOOK = 20;
const unsent = new Int32Array(1);

/**
 * Cuts a connection so that its peer sees that it is cut, behind all bytes that were taken by `write`: a reset once the
 * peer's host has them, or after 2 s. (A reset at once would throw away what is on its way.)
 */
export function resetGently<D>(socket: TcpSocket<D>, patience = LINGER): void {
  // A socket that has closed meanwhile has no descriptor any more.
  const waits = socket.fd >= 0 && libc.ioctl(socket.fd, SIOCOUTQ, ptr(unsent)) === 0 && unsent[0]! > 0;
  if (!waits || patience <= 0) socket.terminate();
  else setTimeout(() => resetGently(socket, patience - LOOK), LOOK).unref();
}
