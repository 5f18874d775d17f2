import { fromBytes16, isIPv6, toBytes16 } from "../core/address.ts";
import { SluiceError } from "../core/problem.ts";
import { turn } from "../runtime/clock.ts";
import { ptr } from "../runtime/ffi.ts";
import { errno, errnoText, libc } from "../runtime/libc.ts";
import { MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from "../runtime/socket-constants.ts";
import { AF_NETLINK, NETLINK_ROUTE, NLM_F_REQUEST, NLMSG_ERROR } from "./netlink.ts";

/** <linux/rtnetlink.h>, <linux/if_link.h>, <sys/socket.h> */
const RTM_GETLINK = 18;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const RTN_LOCAL = 2;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PREFSRC = 7;
const RTA_VIA = 18;
const IFLA_IFNAME = 3;
const AF_INET = 2;
const AF_INET6 = 10;

/** Bytes of `struct nlmsghdr`, of what follows in messages of routes and of links, of `struct rtattr`. */
const HEAD = 16;
const ROUTE_BODY = 12;
const LINK_BODY = 16;
const ATTRIBUTE = 4;

/** Asked at a time: their answers fit a socket's receive buffer, however small the kernel cuts them. */
const BATCH = 32;
/** Batches between which nothing else has its turn. */
const BATCHES_A_TURN = 64;
const LONGEST_ANSWER = 4096;
/** Gateways whose ways are looked for: beyond, each address has an object of its own. */
const MOST_SHARED = 64;

/** The way to an address as the kernel's FIB tells it. Of addresses by one gateway it mostly is one object. */
export interface FoundRoute {
  device: string;
  /** The next hop's address, an IPv6 one also for IPv4 (RFC 8950); null: the destination is on the link. */
  gateway: string | null;
  /** The host's own address towards it; null: the kernel names none. */
  source: string | null;
  /** The destination is an address of this host. */
  local: boolean;
}

/**
 * Asks the kernel for the ways to many addresses, as `ip route get` does; those without one are absent. A hundred thousand
 * take a third of a second. What is asked is the network namespace of the call. Throws SluiceError.
 */
export async function getRoutes(addresses: readonly string[]): Promise<Map<string, FoundRoute>> {
  const found = new Map<string, FoundRoute>();
  if (addresses.length === 0) return found;
  const socket = new RouteSocket();
  try {
    for (let at = 0, batches = 1; at < addresses.length; at += BATCH, batches++) {
      socket.ask(addresses.slice(at, at + BATCH), found);
      if (batches % BATCHES_A_TURN === 0) await turn();
    }
  } finally {
    socket.close();
  }
  return found;
}

/** A way as a message tells it, and as it is handed on. */
interface Told {
  index: number;
  gateway: Uint8Array | null;
  source: Uint8Array | null;
  local: boolean;
  route: FoundRoute | null;
}

const equal = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
  a === null || b === null ? a === b : a.length === b.length && a.every((octet, i) => octet === b[i]);
const copied = (bytes: Uint8Array | null): Uint8Array | null => bytes?.slice() ?? null;

class RouteSocket {
  readonly #fd: number;
  readonly #answer = new Uint8Array(LONGEST_ANSWER);
  readonly #view = new DataView(this.#answer.buffer);
  readonly #names = new Map<number, string>();
  /** Ways by gateways. */
  readonly #told: Told[] = [];
  #last: Told | null = null;

  constructor() {
    this.#fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (this.#fd < 0) throw failure(errnoText(errno()));
  }

  /** The kernel answers while it is asked, each message by one, in order. */
  ask(addresses: readonly string[], found: Map<string, FoundRoute>): void {
    this.#send(addresses.map(routeQuestion));
    // Devices are asked for by the same socket: when all answers are read.
    const routes = addresses.map(() => this.#route());
    for (const [i, route] of routes.entries()) {
      if (route === null) continue;
      route.route ??= this.#named(route);
      if (route.route) found.set(addresses[i]!, route.route);
    }
  }

  #named({ index, gateway, source, local }: Told): FoundRoute | null {
    const device = this.#deviceName(index);
    return device === undefined ? null : { device, gateway: textOf(gateway), source: textOf(source), local };
  }

  #send(messages: readonly Uint8Array[]): void {
    const bytes = Buffer.concat(messages);
    if (libc.send(this.#fd, ptr(bytes), bytes.length, 0) !== bytes.length) throw failure(errnoText(errno()));
  }

  /** Reads one message: its type. */
  #receive(): number {
    const length = libc.recv(this.#fd, ptr(this.#answer), LONGEST_ANSWER, MSG_DONTWAIT);
    if (length < HEAD) throw failure(length < 0 ? errnoText(errno()) : "an answer is too short");
    return this.#view.getUint16(4, true);
  }

  #route(): Told | null {
    if (this.#receive() !== RTM_NEWROUTE) return null;
    let [index, gateway, source]: [number, Uint8Array | null, Uint8Array | null] = [0, null, null];
    this.#attributes(ROUTE_BODY, (type, at, length) => {
      if (type === RTA_OIF) index = this.#view.getUint32(at, true);
      else if (type === RTA_GATEWAY) gateway = this.#answer.subarray(at, at + length);
      // struct rtvia, of a gateway of the other family: that family, and the address.
      else if (type === RTA_VIA) gateway = this.#answer.subarray(at + 2, at + length);
      else if (type === RTA_PREFSRC) source = this.#answer.subarray(at, at + length);
    });
    // rtm_type of `struct rtmsg`.
    const local = this.#view.getUint8(HEAD + 7) === RTN_LOCAL;
    const same = (told: Told): boolean =>
      told.index === index && told.local === local && equal(told.gateway, gateway) && equal(told.source, source);
    // Neighbours in a list mostly have the same way.
    if (this.#last && same(this.#last)) return this.#last;
    this.#last = this.#told.find(same) ?? null;
    if (this.#last === null) {
      this.#last = { index, gateway: copied(gateway), source: copied(source), local, route: null };
      if (gateway !== null && this.#told.length < MOST_SHARED) this.#told.push(this.#last);
    }
    return this.#last;
  }

  /** Undefined where the device has gone meanwhile. */
  #deviceName(index: number): string | undefined {
    const known = this.#names.get(index);
    if (known !== undefined) return known;
    this.#send([linkQuestion(index)]);
    let name: string | undefined;
    if (this.#receive() !== NLMSG_ERROR)
      this.#attributes(LINK_BODY, (type, at, length) => {
        if (type === IFLA_IFNAME) name = Buffer.from(this.#answer.subarray(at, at + length - 1)).toString();
      });
    if (name !== undefined) this.#names.set(index, name);
    return name;
  }

  /** Of the message that was read last: the type of each attribute, where its value begins, and its length. */
  #attributes(body: number, each: (type: number, at: number, length: number) => void): void {
    const end = Math.min(this.#view.getUint32(0, true), LONGEST_ANSWER);
    for (let at = HEAD + body; at + ATTRIBUTE <= end; ) {
      const length = this.#view.getUint16(at, true);
      if (length < ATTRIBUTE) return;
      each(this.#view.getUint16(at + 2, true), at + ATTRIBUTE, length - ATTRIBUTE);
      at += (length + 3) & ~3;
    }
  }

  close(): void {
    libc.close(this.#fd);
  }
}

function message(type: number, length: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, NLM_F_REQUEST, true);
  return { bytes, view };
}

function routeQuestion(address: string): Uint8Array {
  const octets = isIPv6(address) ? toBytes16(address) : toBytes16(address).subarray(12);
  const { bytes, view } = message(RTM_GETROUTE, HEAD + ROUTE_BODY + ATTRIBUTE + octets.length);
  bytes[HEAD] = isIPv6(address) ? AF_INET6 : AF_INET;
  bytes[HEAD + 1] = octets.length * 8;
  view.setUint16(HEAD + ROUTE_BODY, ATTRIBUTE + octets.length, true);
  view.setUint16(HEAD + ROUTE_BODY + 2, RTA_DST, true);
  bytes.set(octets, HEAD + ROUTE_BODY + ATTRIBUTE);
  return bytes;
}

function linkQuestion(index: number): Uint8Array {
  const { bytes, view } = message(RTM_GETLINK, HEAD + LINK_BODY);
  // ifi_index of `struct ifinfomsg`.
  view.setInt32(HEAD + 4, index, true);
  return bytes;
}

const textOf = (address: Uint8Array | null): string | null =>
  address && (address.length === 4 ? address.join(".") : fromBytes16(address));

const failure = (why: string): SluiceError =>
  new SluiceError({
    code: "SLUICE_HOST_COMMAND",
    severity: "error",
    source: "kernel",
    path: [],
    message: `the kernel cannot be asked for routes: ${why}`,
  });
