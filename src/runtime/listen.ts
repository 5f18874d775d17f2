import { toBytes16 } from "../core/address.ts";
import { configProblem, ok, type Result, refuse } from "../core/problem.ts";
import { type Listener, listenerName } from "../core/service.ts";
import { ptr } from "./ffi.ts";
import { errno, errnoText, libc, setIntOption } from "./libc.ts";
import { AF_INET6, fromSockaddr, toSockaddr } from "./socket-address.ts";
import {
  IP_FREEBIND,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_ACCEPTCONN,
  SO_COOKIE,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_TYPE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "./socket-constants.ts";

/** Connections that the kernel keeps waiting for accept(2); Bun's own default of 512 refuses bursts. */
const BACKLOG = 4096;
/** Receive buffer of a UDP listener, bytes: the default loses 300 of 500 queries that arrive at once. */
const UDP_BUFFER = 4 << 20;

/**
 * Makes a bound, listening socket and returns its descriptor (CLOEXEC, non-blocking, SO_REUSEPORT: one per worker on
 * the same address). The address may be one that the host does not hold yet (IP_FREEBIND).
 * Errors: SLUICE_BIND with the kernel's own words.
 */
export function makeListener(listener: Listener): Result<number> {
  const { family, bytes } = toSockaddr(listener.address, listener.port);
  const type = listener.protocol === "udp" ? SOCK_DGRAM : SOCK_STREAM;
  const fd = libc.socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return bindProblem(listener, "socket", errno());
  setIntOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  setIntOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  setIntOption(fd, IPPROTO_IP, IP_FREEBIND, 1);
  if (family === AF_INET6) setIntOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (listener.protocol === "udp" && setIntOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, UDP_BUFFER) !== 0)
    setIntOption(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER);
  const failed =
    libc.bind(fd, ptr(bytes), bytes.length) !== 0
      ? "bind"
      : listener.protocol === "tcp" && libc.listen(fd, BACKLOG) !== 0
        ? "listen"
        : null;
  if (failed === null) return ok(fd);
  const number = errno();
  libc.close(fd);
  return bindProblem(listener, failed, number);
}

function bindProblem(listener: Listener, call: string, number: number): Result<never> {
  const message = `${listenerName(listener)} cannot be listened on: ${call}: ${errnoText(number)}`;
  return refuse(configProblem("SLUICE_BIND", ["listen"], message, { hint: "See which program holds it: ss -lntup" }));
}

const name = new Uint8Array(28);

/** Where a socket is bound to; port 0 for what is no bound socket. */
export function localEnd(fd: number): { address: string; port: number } {
  name.fill(0);
  const size = new Uint32Array([name.length]);
  return libc.getsockname(fd, ptr(name), ptr(size)) === 0 ? fromSockaddr(name) : { address: "", port: 0 };
}

/** A socket option of up to 64 bits; null when `fd` is no socket. */
function option(fd: number, number: number): bigint | null {
  const value = new BigUint64Array(1);
  const size = new Uint32Array([8]);
  return libc.getsockopt(fd, SOL_SOCKET, number, ptr(value), ptr(size)) === 0 ? value[0]! : null;
}

/** Does this descriptor, which comes from elsewhere, serve this listener? */
export function servesListener(fd: number, { address, port, protocol }: Listener): boolean {
  const type = protocol === "udp" ? SOCK_DGRAM : SOCK_STREAM;
  if (option(fd, SO_TYPE) !== BigInt(type) || (protocol === "tcp" && option(fd, SO_ACCEPTCONN) !== 1n)) return false;
  const end = localEnd(fd);
  return end.port === port && Buffer.compare(toBytes16(end.address), toBytes16(address)) === 0;
}

/** What tells one socket from all others, by whatever descriptors it is held (SO_COOKIE). */
export const socketIdentity = (fd: number): bigint => option(fd, SO_COOKIE) ?? 0n;

export const closeFd = (fd: number): void => {
  libc.close(fd);
};
