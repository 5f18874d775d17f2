import { clientNetwork } from "../core/address.ts";
import type { Code } from "../core/codes.ts";
import { hashText } from "../core/hash.ts";
import type { HandedSessions, SessionPacket } from "../core/method.ts";
import { listenerName } from "../core/service.ts";
import type { InheritedSocket } from "../core/worker-protocol.ts";
import { MOST_DESCRIPTORS } from "../runtime/descriptors.ts";
import { closeFd, socketIdentity } from "../runtime/listen.ts";
import { adoptUdp, senderOf, type UdpSender, type UdpSocket } from "../runtime/udp.ts";
import type { Backends } from "./backends.ts";
import type { Shared } from "./front.ts";
import { Cell } from "./service-state.ts";
import { type Given, Session } from "./session.ts";
import type { Wheel } from "./wheel.ts";

/** Bounds of the relaying of datagrams. Times in ms. */
export interface DatagramRules {
  /** Without a datagram in either direction a session is over. */
  readonly idle: number;
  /** Most sessions at this listener, over all workers. */
  readonly sessions: number;
  /** Most of them from one client address, over all workers. */
  readonly perAddress: number;
  /** Bits of an IPv6 address by which clients are told apart. */
  readonly ipv6Prefix: number;
  /** One datagram each way: each finds a backend of its own. */
  readonly oneShot: boolean;
}

/** The text of a packet of sessions. */
interface Handed extends HandedSessions {
  sessions: Given[];
}

/** Refusals that are told at most once in so many ms: a flood must not become a flood of log lines. */
const TELL_EVERY = 1000;

/**
 * One UDP listener in one worker: sessions by the client's address and port (the listener is the other half of the
 * 5-tuple). The kernel gives all datagrams of a client to the same worker's socket (SO_REUSEPORT), so no worker needs to
 * know another's sessions. Answers leave through the socket that was asked, so from the address that was asked.
 */
export class Datagrams {
  readonly service: Backends;
  readonly rules: DatagramRules;
  private readonly shared: Shared;
  private readonly name: string;
  private readonly sessions = new Map<string, Session>();
  /**
   * Sessions whose client has not sent again after an answer, the oldest first: its address may be forged. Where there is
   * no room they make some, so that a flood pushes out itself and not those who talk.
   */
  private readonly unproven = new Set<Session>();
  /** Under what its sessions are counted over all workers. */
  private readonly counted: number;
  /** The socket's descriptor, and what tells it from all others, by whatever descriptor it is held. */
  private readonly fd: number;
  private readonly identity: string;
  /** Null: before `open`, and after `shut`. */
  private socket: UdpSocket | null = null;
  /** What answers leave by while there is no `socket`. */
  private sender: UdpSender | null = null;
  private opened = false;
  private shutting = false;
  private numbered = 0;
  private toldAt = Number.NEGATIVE_INFINITY;
  private whenEmpty: (() => void) | null = null;

  constructor(shared: Shared, service: Backends, rules: DatagramRules, { address, port, fd }: InheritedSocket) {
    this.shared = shared;
    this.service = service;
    this.rules = rules;
    this.name = listenerName({ address, port, protocol: "udp" });
    this.fd = fd;
    this.identity = String(socketIdentity(fd));
    this.counted = shared.doors.crowd.keyOf(`listener ${this.name}`);
  }

  /** Takes datagrams from now on. */
  async open(): Promise<void> {
    if (this.shutting || this.opened) return;
    this.opened = true;
    this.socket = await adoptUdp(this.fd, (_socket, data, port, address) => this.arrived(data, port, address));
    if (this.shutting) this.socket.close();
    else {
      this.sender?.close();
      this.sender = null;
    }
  }

  /** Sessions will come from a worker that takes the datagrams until then; their answers go out. */
  wait(): void {
    this.sender = senderOf({ fd: this.fd });
  }

  /** Takes no more datagrams; answers still go out. */
  private shut(): void {
    if (this.shutting) return;
    this.shutting = true;
    this.sender ??= senderOf({ fd: this.fd });
    this.socket?.close();
    if (!this.opened) closeFd(this.fd);
  }

  get wheel(): Wheel {
    return this.shared.wheel;
  }

  private arrived(data: Buffer, port: number, address: string): void {
    // Port 0 cannot be answered (RFC 768): such a packet is forged.
    if (port === 0) return;
    const key = this.rules.oneShot ? String(this.numbered++) : `${address} ${port}`;
    const session = this.sessions.get(key) ?? this.begin(key, address, port);
    session?.forward(data);
  }

  private begin(key: string, address: string, port: number): Session | null {
    const { shared, service } = this;
    const addressKey = this.admits(address);
    if (addressKey < 0) {
      this.refused("SLUICE_HTTP_CLIENT_LIMIT", address);
      return null;
    }
    if (!this.room(address)) {
      if (addressKey !== 0) shared.doors.crowd.leave(addressKey);
      return null;
    }
    service.cells.add(-1, Cell.connections, 1);
    service.cells.add(-1, Cell.requests, 1);
    return this.add(key, address, port, addressKey);
  }

  private add(key: string, address: string, port: number, addressKey: number): Session {
    const session = new Session(this, key, address, port, hashText(address, this.shared.seed));
    session.addressKey = addressKey;
    this.sessions.set(key, session);
    this.unproven.add(session);
    this.shared.connections++;
    this.service.cells.add(-1, Cell.active, 1);
    return session;
  }

  /** Gives the sessions away to the worker that serves this socket next, in packets. Those that cannot go stay. */
  handOver(sockets: readonly string[] | null): SessionPacket[] {
    const { identity: socket } = this;
    if (sockets !== null && !sockets.includes(socket)) return [];
    this.shut();
    const given = [...this.sessions.values()].map((session) => session.give(!this.unproven.has(session)));
    const all = given.filter((one) => one !== null);
    return Array.from({ length: Math.ceil(all.length / MOST_DESCRIPTORS) }, (_, i) => {
      const some = all.slice(i * MOST_DESCRIPTORS, (i + 1) * MOST_DESCRIPTORS);
      const sessions = some.map(({ session }) => session);
      const handed: Handed = { socket, service: this.service.name, sessions };
      return { text: JSON.stringify(handed), fds: some.map(({ fd }) => fd) };
    });
  }

  /** Goes on with a packet of sessions, if they are this socket's; null: they are not. */
  takeOver({ text, fds }: SessionPacket): Promise<void> | null {
    const { socket, service, sessions } = JSON.parse(text) as Handed;
    if (socket !== this.identity || service !== this.service.name || this.rules.oneShot) return null;
    return Promise.all(sessions.map((given, i) => this.takeUp(given, fds[i]!))).then(() => {});
  }

  private async takeUp(given: Given, fd: number): Promise<void> {
    const { address, port, proven } = given;
    if (this.sessions.has(`${address} ${port}`)) {
      closeFd(fd); // it came too late: its client has begun anew
      return;
    }
    const { crowd } = this.shared.doors;
    crowd.enter(this.counted);
    const limited = this.rules.perAddress !== Number.POSITIVE_INFINITY;
    const addressKey = limited ? this.keyOf(address) : 0;
    if (limited) crowd.enter(addressKey);
    const session = this.add(`${address} ${port}`, address, port, addressKey);
    if (proven) this.proven(session);
    await session.takeUp(given, fd);
  }

  private keyOf(address: string): number {
    return this.shared.doors.crowd.keyOf(`${this.name} ${clientNetwork(address, this.rules.ipv6Prefix)}`);
  }

  /** Counts one more session, and ends an unproven one where there are too many; false: there is none such. */
  private room(address: string): boolean {
    const { shared, rules } = this;
    const { crowd } = shared.doors;
    if (crowd.enter(this.counted) <= rules.sessions && shared.connections < shared.connectionLimit) return true;
    const [oldest] = this.unproven;
    this.refused("SLUICE_UDP_SESSIONS", oldest?.address ?? address);
    if (oldest === undefined) crowd.leave(this.counted);
    oldest?.end();
    return oldest !== undefined;
  }

  /** May this address have one more session? What it is counted under, 0 where nothing limits it; -1: no. */
  private admits(address: string): number {
    const { perAddress } = this.rules;
    if (perAddress === Number.POSITIVE_INFINITY) return 0;
    const { crowd } = this.shared.doors;
    const key = this.keyOf(address);
    if (crowd.enter(key) <= perAddress) return key;
    crowd.leave(key);
    return -1;
  }

  /** The client has had an answer and goes on. */
  proven(session: Session): void {
    this.unproven.delete(session);
  }

  /** A datagram is dropped, or a session for another: counted each time, told now and then. */
  refused(code: Code, client: string): void {
    this.service.cells.add(-1, Cell.errors, 1);
    const now = this.shared.doors.now();
    if (now - this.toldAt < TELL_EVERY) return;
    this.toldAt = now;
    this.shared.doors.log("warn", "datagram dropped", { listener: this.name, client, code });
  }

  /** False when it could not be sent. */
  reply(data: Buffer, port: number, address: string): boolean {
    try {
      return (this.sender ?? this.socket)!.send(data, port, address);
    } catch {
      return false; // too large for this family of addresses
    }
  }

  ended(session: Session): void {
    if (!this.sessions.delete(session.key)) return;
    this.unproven.delete(session);
    const { crowd } = this.shared.doors;
    crowd.leave(this.counted);
    if (session.addressKey !== 0) crowd.leave(session.addressKey);
    this.shared.connections--;
    this.service.cells.add(-1, Cell.active, -1);
    if (this.sessions.size === 0) this.whenEmpty?.();
  }

  /** May this backend keep what it has? */
  keeps(id: number): boolean {
    const { balancer } = this.service;
    const state = balancer.backend(id)?.state;
    if (state === "up" || state === "unchecked" || state === "draining") return true;
    return balancer.snapshot.eligible.includes(id);
  }

  /** The service has a new snapshot: sessions leave backends that may keep nothing. */
  changed(): void {
    for (const session of [...this.sessions.values()])
      if (session.backend >= 0 && !this.keeps(session.backend)) session.end();
  }

  /**
   * Leaves the socket to the worker that follows; answers of sessions that it has not been given still go out, from the
   * same address. Resolves when all have ended, at the latest after `deadline` ms.
   */
  async drain(deadline: number): Promise<void> {
    this.shut();
    if (this.sessions.size > 0 && this.sender !== null && deadline > 0) {
      const empty = new Promise<void>((resolve) => {
        this.whenEmpty = resolve;
      });
      const end = setTimeout(() => this.whenEmpty?.(), deadline);
      await empty;
      clearTimeout(end);
    }
    for (const session of [...this.sessions.values()]) session.end();
    this.sender?.close();
  }
}
