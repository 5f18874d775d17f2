import { toBytes16 } from "../core/address.ts";
import { configProblem, ok, type Problem, type Result, refuse } from "../core/problem.ts";
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
const EACCES = 13;
const EADDRINUSE = 98;
/** Receive buffer of a UDP listener, bytes: the default loses 300 of 500 queries that arrive at once. */
const UDP_BUFFER = 4 << 20;

/** Why a socket could not be made: the call that failed, and its errno. */
interface Failure {
  call: string;
  number: number;
}

/** A bound socket for a listener; `shared`: others may be bound to the same address and port, if they are so too. */
function boundSocket({ address, port, protocol }: Listener, shared: boolean): number | Failure {
  const { family, bytes } = toSockaddr(address, port);
  const type = protocol === "udp" ? SOCK_DGRAM : SOCK_STREAM;
  const fd = libc.socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return { call: "socket", number: errno() };
  // Of UDP this alone would let others in.
  if (shared || protocol === "tcp") setIntOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (shared) setIntOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  setIntOption(fd, IPPROTO_IP, IP_FREEBIND, 1);
  if (family === AF_INET6) setIntOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  return libc.bind(fd, ptr(bytes), bytes.length) === 0 ? fd : closed(fd, "bind");
}

function closed(fd: number, call: string): Failure {
  const number = errno();
  libc.close(fd);
  return { call, number };
}

/**
 * Makes a bound, listening socket and returns its descriptor (CLOEXEC, non-blocking, SO_REUSEPORT: one per worker on
 * the same address). The address may be one that the host does not hold yet (IP_FREEBIND).
 * Errors: SLUICE_BIND with the kernel's own words.
 */
export function makeListener(listener: Listener): Result<number> {
  const fd = boundSocket(listener, true);
  if (typeof fd !== "number") return refuse(bindProblem(listener, fd));
  if (listener.protocol === "udp" && setIntOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, UDP_BUFFER) !== 0)
    setIntOption(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER);
  return listener.protocol === "tcp" && libc.listen(fd, BACKLOG) !== 0
    ? refuse(bindProblem(listener, closed(fd, "listen")))
    : ok(fd);
}

/** What stands in the way of whoever would listen at an address and port alone. */
export interface Obstacle {
  /** Somebody is bound to it already. */
  taken: boolean;
  problem: Problem;
}

/**
 * Sees whether nobody listens there yet: null. The kernel would let us in beside a program that shares its port too (another
 * instance of ours does), and give each a part of what comes. Problems: as of `makeListener`.
 */
export function obstacleAt(listener: Listener): Obstacle | null {
  const fd = boundSocket(listener, false);
  if (typeof fd !== "number") return { taken: fd.number === EADDRINUSE, problem: bindProblem(listener, fd) };
  libc.close(fd);
  return null;
}

/** What mends a refusal that has a usual cause. */
const bindHints: Readonly<Record<number, string>> = {
  [EACCES]: "A port below 1024 takes root or CAP_NET_BIND_SERVICE: grant it, or listen on a port from 1024.",
  [EADDRINUSE]: "See which program holds it: ss -lntup",
};

function bindProblem(listener: Listener, { call, number }: Failure): Problem {
  const message = `${listenerName(listener)} cannot be listened on: ${call}: ${errnoText(number)}`;
  const hint = bindHints[number];
  return configProblem("SLUICE_BIND", ["listen"], message, hint ? { hint } : {});
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
