import { isIPv6 } from "../core/address.ts";
import { ptr } from "./ffi.ts";
import { errno, errnoText, libc, setIntOption } from "./libc.ts";
import { AF_INET, AF_INET6, toSockaddr } from "./socket-address.ts";
import {
  IP_BIND_ADDRESS_NO_PORT,
  IPPROTO_IP,
  IPPROTO_TCP,
  SO_LINGER,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_QUICKACK,
} from "./socket-constants.ts";
import type { ConnectFailure, ConnectHandlers, ConnectOptions, TcpSocket } from "./tcp.ts";
import "./augment.d.ts";

const EINPROGRESS = 115;
/** `struct linger { 1, 0 }`: close(2) resets. */
const RESET = Int32Array.of(1, 0);
const POLLOUT = 4;

const failures: Record<string, ConnectFailure> = {
  ECONNREFUSED: "refused",
  ETIMEDOUT: "timeout",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EHOSTDOWN: "unreachable",
};
const errnoFailures: Record<number, ConnectFailure> = {
  111: "refused",
  110: "timeout",
  113: "unreachable",
  101: "unreachable",
  112: "unreachable",
};

/**
 * Connects; exactly one of `open` and `failed` follows, unless `cancel()` comes first. The socket is made here and not
 * by Bun, which brings two things: a connect under way can be ended (time-out and `cancel()` close the socket at once,
 * so that a dead host costs no descriptor for two minutes and a fixed source port is free again), and failures have the
 * kernel's own reason, where Bun calls them all ECONNREFUSED.
 *
 * With `tls`, `open` comes together with the handshake's end. Addresses are literals.
 */
export function connectTcp<D>(options: ConnectOptions<D>, handlers: ConnectHandlers<D>): { cancel(): void } {
  return new Dialler(handlers).connect(options);
}

/**
 * Makes connections that all have the same handlers. They share one set of functions, which stays in the processor's
 * cache: a set for each of a thousand connections would not, and every message would wait for its own.
 */
export class Dialler<D> {
  readonly #handlers: ConnectHandlers<D>;
  readonly #events: Bun.SocketHandler<D | Dial<D>>;

  constructor(handlers: ConnectHandlers<D>) {
    this.#handlers = handlers;
    this.#events = eventsOf(handlers);
  }

  /** As `connectTcp`. */
  connect(options: ConnectOptions<D>): { cancel(): void } {
    const dial = new Dial(options, this.#handlers);
    dial.start(this.#events);
    return { cancel: () => dial.cancel() };
  }
}

/**
 * Bun says `open` for a descriptor at once; the first `drain` is the moment the connection stands. Until then, and for
 * ever when it never does, the socket's data is its dial; then it is the user's.
 */
function eventsOf<D>(handlers: ConnectHandlers<D>): Bun.SocketHandler<D | Dial<D>> {
  const { data, drain, end, close, error, handshake } = handlers;
  /** The connection stands, if it did not before. */
  const opened = (socket: TcpSocket<D | Dial<D>>): TcpSocket<D> => {
    if (socket.data instanceof Dial) socket.data.opened(socket as TcpSocket<unknown>);
    return socket as TcpSocket<D>;
  };
  return {
    open: (socket) => (socket.data as Dial<D>).adopted(socket as TcpSocket<unknown>),
    drain(socket) {
      if (!(socket.data instanceof Dial)) drain?.(socket as TcpSocket<D>);
      else if (!socket.data.secure) opened(socket);
    },
    data: (socket, chunk) => data(opened(socket), chunk),
    end(socket) {
      opened(socket);
      if (end) end(socket as TcpSocket<D>);
      else socket.shutdown();
    },
    close(socket, reason) {
      if (socket.data instanceof Dial && socket.data.closed(reason)) return;
      close?.(opened(socket), reason);
    },
    error(socket, reason) {
      if (!(socket.data instanceof Dial)) error?.(socket as TcpSocket<D>, reason);
    },
    connectError(socket, reason) {
      if (socket.data instanceof Dial) socket.data.fail("refused", String(reason));
    },
    handshake: (socket, authorized, reason) => handshake?.(opened(socket), authorized, reason),
  };
}

/** One connection until it stands. */
class Dial<D> {
  readonly #options: ConnectOptions<D>;
  readonly #handlers: ConnectHandlers<D>;
  #state: "connecting" | "open" | "over" = "connecting";
  #socket: TcpSocket<unknown> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ConnectOptions<D>, handlers: ConnectHandlers<D>) {
    this.#options = options;
    this.#handlers = handlers;
  }

  get secure(): boolean {
    return this.#options.tls !== undefined;
  }

  start(socket: Bun.SocketHandler<D | Dial<D>>): void {
    const { timeout, tls, address, port } = this.#options;
    const fd = this.#connecting();
    if (fd === null) return;
    if (this.#handlers.stood !== undefined && !tls && stands(fd)) {
      this.#reset(fd);
      return;
    }
    this.#timer = setTimeout(() => {
      // Timers run before what has come is read: one that came about while the process stood still is `open` next.
      if (tls || !stands(fd)) this.fail("timeout", `no answer to connect within ${timeout} ms`);
    }, timeout);
    const to = { hostname: address, port, fd, data: this, allowHalfOpen: true, socket, ...(tls ? { tls } : {}) };
    try {
      Bun.connect(to as unknown as Bun.TCPSocketConnectOptions<D>).catch((error) => this.fail("local", String(error)));
    } catch (error) {
      libc.close(fd);
      this.fail("local", String(error));
    }
  }

  cancel(): void {
    if (this.#state === "connecting") this.#end();
  }

  /** Bun never hears of it, which spares most of what a connection costs. */
  #reset(fd: number): void {
    this.#state = "over";
    const { address, source } = this.#options;
    if (source || !undone(fd, familyOf(address))) {
      libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, ptr(RESET), RESET.byteLength);
      libc.close(fd);
    }
    this.#handlers.stood?.(this.#options.data);
  }

  /** A socket whose connect is under way; null when it has failed at once, which was told on a later turn. */
  #connecting(): number | null {
    const { address, port, source } = this.#options;
    const to = toSockaddr(address, port);
    const knocks = this.#handlers.stood !== undefined && !this.secure;
    const fd = (knocks && !source && takeIdle(to.family)) || newSocket(to.family);
    if (fd < 0) return this.#refused("local", "socket");
    if (source) {
      setIntOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
      if (source.port === 0) setIntOption(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
      const from = toSockaddr(source.address, source.port);
      if (libc.bind(fd, ptr(from.bytes), from.bytes.length) !== 0) return this.#refused("local", "bind", fd);
    }
    // Who only knocks owes the last word of the handshake: the reset comes before it, and the server's program never hears.
    if (knocks) setIntOption(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
    if (libc.connect(fd, ptr(to.bytes), to.bytes.length) === 0) return fd;
    const code = errno();
    return code === EINPROGRESS ? fd : this.#refused(errnoFailures[code] ?? "local", "connect", fd, code);
  }

  #refused(why: ConnectFailure, call: string, fd = -1, code = errno()): null {
    if (fd >= 0) libc.close(fd);
    // Never inside the call that asked: its caller does not yet hold what it would cancel.
    queueMicrotask(() => this.fail(why, `${call}: ${errnoText(code)}`));
    return null;
  }

  adopted(socket: TcpSocket<unknown>): void {
    this.#socket = socket;
    if (this.#state === "over") socket.terminate();
  }

  opened(socket: TcpSocket<unknown>): void {
    if (this.#state !== "connecting") return;
    this.#state = "open";
    clearTimeout(this.#timer);
    socket.data = this.#options.data;
    this.#handlers.open?.(socket as TcpSocket<D>);
  }

  /** @returns whether that was all: its user hears of a connection's end only if it stood, or ended without a reason. */
  closed(reason: Error | undefined): boolean {
    if (this.#state === "over") return true;
    const code = (reason as { code?: string } | undefined)?.code ?? "";
    const why = failures[code];
    if (why) this.fail(why, detailOf(why, code));
    return why !== undefined;
  }

  fail(why: ConnectFailure, detail: string): void {
    if (this.#state !== "connecting") return;
    this.#end();
    this.#handlers.failed(this.#options.data, why, detail);
  }

  #end(): void {
    this.#state = "over";
    clearTimeout(this.#timer);
    this.#socket?.terminate();
  }
}

const familyOf = (address: string): number => (isIPv6(address) ? AF_INET6 : AF_INET);
const newSocket = (family: number): number => libc.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

/**
 * Of each family the socket of a connection that was undone, for the next one: a socket that is made anew for each of many
 * thousand costs more than a third of all that the kernel does for them.
 */
const idle = new Map<number, number>();
/** `struct sockaddr` of no family: connect(2) to it undoes a connection, with a reset. */
const NOWHERE = new Uint8Array(16);

function takeIdle(family: number): number | undefined {
  const fd = idle.get(family);
  idle.delete(family);
  return fd;
}

/** Resets a connection and keeps its socket; false: it is another's to close. */
function undone(fd: number, family: number): boolean {
  if (idle.has(family) || libc.connect(fd, ptr(NOWHERE), NOWHERE.length) !== 0) return false;
  idle.set(family, fd);
  return true;
}

/** `struct pollfd` */
const looked = new Int32Array(2);

/** Is a connection that was just asked for there, without an error? */
function stands(fd: number): boolean {
  looked[0] = fd;
  looked[1] = POLLOUT;
  return libc.poll(ptr(looked), 1, 0) === 1 && looked[1]! >>> 16 === POLLOUT;
}

const detailOf = (why: ConnectFailure, code: string): string =>
  why === "refused" ? "connect refused" : `connect: ${code}`;
