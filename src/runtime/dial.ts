import { ptr } from "./ffi.ts";
import { errno, errnoText, libc, setIntOption } from "./libc.ts";
import { toSockaddr } from "./socket-address.ts";
import {
  IP_BIND_ADDRESS_NO_PORT,
  IPPROTO_IP,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "./socket-constants.ts";
import type { ConnectFailure, ConnectHandlers, ConnectOptions, TcpSocket } from "./tcp.ts";
import "./augment.d.ts";

const EINPROGRESS = 115;

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
  const dial = new Dial(options, handlers);
  dial.start();
  return { cancel: () => dial.cancel() };
}

class Dial<D> {
  readonly #options: ConnectOptions<D>;
  readonly #handlers: ConnectHandlers<D>;
  #state: "connecting" | "open" | "over" = "connecting";
  #socket: TcpSocket<D> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ConnectOptions<D>, handlers: ConnectHandlers<D>) {
    this.#options = options;
    this.#handlers = handlers;
  }

  start(): void {
    const { timeout, data, tls, address, port } = this.#options;
    const fd = this.#connecting();
    if (fd === null) return;
    this.#timer = setTimeout(() => this.#fail("timeout", `no answer to connect within ${timeout} ms`), timeout);
    const to = {
      hostname: address,
      port,
      fd,
      data,
      allowHalfOpen: true,
      socket: this.#events(),
      ...(tls ? { tls } : {}),
    };
    try {
      Bun.connect<D>(to as unknown as Bun.TCPSocketConnectOptions<D>).catch((error) =>
        this.#fail("local", String(error)),
      );
    } catch (error) {
      libc.close(fd);
      this.#fail("local", String(error));
    }
  }

  cancel(): void {
    if (this.#state === "connecting") this.#end();
  }

  /** A socket whose connect is under way; null when it has failed at once, which was told on a later turn. */
  #connecting(): number | null {
    const { address, port, source } = this.#options;
    const to = toSockaddr(address, port);
    const fd = libc.socket(to.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return this.#refused("local", "socket");
    if (source) {
      setIntOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
      if (source.port === 0) setIntOption(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
      const from = toSockaddr(source.address, source.port);
      if (libc.bind(fd, ptr(from.bytes), from.bytes.length) !== 0) return this.#refused("local", "bind", fd);
    }
    if (libc.connect(fd, ptr(to.bytes), to.bytes.length) === 0) return fd;
    const code = errno();
    return code === EINPROGRESS ? fd : this.#refused(errnoFailures[code] ?? "local", "connect", fd, code);
  }

  #refused(why: ConnectFailure, call: string, fd = -1, code = errno()): null {
    if (fd >= 0) libc.close(fd);
    // Never inside the call that asked: its caller does not yet hold what it would cancel.
    queueMicrotask(() => this.#fail(why, `${call}: ${errnoText(code)}`));
    return null;
  }

  /** Bun says `open` for a descriptor at once; the first `drain` is the moment the connection stands. */
  #events(): Bun.SocketHandler<D> {
    const { data, drain, end, close, error, handshake } = this.#handlers;
    return {
      open: (socket) => this.#adopted(socket),
      drain: (socket) => {
        if (this.#state === "open") drain?.(socket);
        else if (!this.#options.tls) this.#opened(socket);
      },
      data: (socket, chunk) => {
        this.#opened(socket);
        data(socket, chunk);
      },
      end: (socket) => {
        this.#opened(socket);
        if (end) end(socket);
        else socket.shutdown();
      },
      close: (socket, reason) => {
        if (this.#state === "over") return;
        const code = (reason as { code?: string } | undefined)?.code ?? "";
        const why = failures[code];
        if (this.#state === "connecting" && why) this.#fail(why, detailOf(why, code));
        else {
          this.#opened(socket);
          close?.(socket, reason);
        }
      },
      error: (socket, reason) => {
        if (this.#state === "open") error?.(socket, reason);
      },
      connectError: (_socket, reason) => this.#fail("refused", String(reason)),
      ...(handshake || this.#options.tls
        ? {
            handshake: (socket: TcpSocket<D>, authorized: boolean, reason: Error | null) => {
              this.#opened(socket);
              handshake?.(socket, authorized, reason);
            },
          }
        : {}),
    };
  }

  #adopted(socket: TcpSocket<D>): void {
    this.#socket = socket;
    if (this.#state === "over") socket.terminate();
  }

  #opened(socket: TcpSocket<D>): void {
    if (this.#state !== "connecting") return;
    this.#state = "open";
    clearTimeout(this.#timer);
    this.#handlers.open?.(socket);
  }

  #fail(why: ConnectFailure, detail: string): void {
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

const detailOf = (why: ConnectFailure, code: string): string =>
  why === "refused" ? "connect refused" : `connect: ${code}`;
