import type { Code } from "../core/codes.ts";
import { hashText } from "../core/hash.ts";
import { listenerName } from "../core/service.ts";
import type { InheritedSocket } from "../core/worker-protocol.ts";
import { adoptUdp, senderOf, type UdpSender, type UdpSocket } from "../runtime/udp.ts";
import type { Backends } from "./backends.ts";
import type { Shared } from "./front.ts";
import { Cell } from "./service-state.ts";
import { Session } from "./session.ts";
import type { Wheel } from "./wheel.ts";

/** Bounds of the relaying of datagrams. Times in ms. */
export interface DatagramRules {
  /** Without a datagram in either direction a session is over. */
  readonly idle: number;
  /** Most sessions at this listener, over all workers. */
  readonly sessions: number;
  /** Most of them from one client address, over all workers. */
  readonly perAddress: number;
  /** One datagram each way: each finds a backend of its own. */
  readonly oneShot: boolean;
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
  private socket: UdpSocket | null = null;
  private sender: UdpSender | null = null;
  private numbered = 0;
  private toldAt = Number.NEGATIVE_INFINITY;
  private whenEmpty: (() => void) | null = null;

  constructor(shared: Shared, service: Backends, rules: DatagramRules, { address, port }: InheritedSocket) {
    this.shared = shared;
    this.service = service;
    this.rules = rules;
    this.name = listenerName({ address, port, protocol: "udp" });
    this.counted = shared.doors.crowd.keyOf(`listener ${this.name}`);
  }

  /** Takes over the socket and relays what comes. */
  async serve(fd: number): Promise<this> {
    this.socket = await adoptUdp(fd, (_socket, data, port, address) => this.arrived(data, port, address));
    return this;
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
    if (!this.room(address)) return null;
    const addressKey = this.admits(address);
    if (addressKey < 0) {
      shared.doors.crowd.leave(this.counted);
      this.refused("SLUICE_HTTP_CLIENT_LIMIT", address);
      return null;
    }
    const session = new Session(this, key, address, port, hashText(address, shared.seed));
    session.addressKey = addressKey;
    this.sessions.set(key, session);
    this.unproven.add(session);
    shared.connections++;
    service.cells.add(-1, Cell.connections, 1);
    service.cells.add(-1, Cell.requests, 1);
    service.cells.add(-1, Cell.active, 1);
    return session;
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
    const key = crowd.keyOf(`${this.name} ${address}`);
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

  /** The service has a new snapshot: sessions leave backends that may keep nothing. */
  changed(): void {
    const { balancer } = this.service;
    const eligible = new Set(balancer.snapshot.eligible);
    const keeps = (id: number): boolean => {
      const state = balancer.backend(id)?.state;
      return state === "up" || state === "unchecked" || state === "draining" || eligible.has(id);
    };
    for (const session of [...this.sessions.values()])
      if (session.backend >= 0 && !keeps(session.backend)) session.end();
  }

  /**
   * Leaves the socket to the worker that follows, which gets what clients send from now on; answers of sessions under way
   * still go out, from the same address. Resolves when all have ended, at the latest after `deadline` ms.
   */
  async drain(deadline: number): Promise<void> {
    this.sender = senderOf(this.socket!);
    this.socket!.close();
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
