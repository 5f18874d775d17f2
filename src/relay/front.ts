import { clientNetwork } from "../core/address.ts";
import type { Code } from "../core/codes.ts";
import type { WorkerDoors } from "../core/method.ts";
import { listenerName } from "../core/service.ts";
import type { InheritedSocket } from "../core/worker-protocol.ts";
import type { Atlas } from "../geo/places.ts";
import type { RequestLimits } from "../protocols/http/request.ts";
import { RequestHead } from "../protocols/http/request.ts";
import { adoptListener, type TcpListener, type TcpSocket } from "../runtime/tcp.ts";
import type { Client } from "./client.ts";
import { Cell, type ServiceState } from "./service-state.ts";
import type { Site } from "./site.ts";
import type { TrustList } from "./trust.ts";
import type { Wheel } from "./wheel.ts";

/** Bounds of the client side. Times in ms, sizes in bytes. */
export interface ClientLimits extends RequestLimits {
  /** Largest request body. */
  readonly body: number;
  /** Requests on one connection. */
  readonly requests: number;
  /** From a head's first byte (or the connection's start) to its last. */
  readonly headTimeout: number;
  /** Between two reads of a body. */
  readonly bodyTimeout: number;
  /** Between two requests. */
  readonly idleTimeout: number;
  /** Without the client taking a byte that waits for it. */
  readonly stallTimeout: number;
  /** Connections of all clients to one listener, over all workers. */
  readonly connections: number;
  /** Connections of one client address to all listeners of the method, over all workers. */
  readonly perAddress: number;
  /** Bits of an IPv6 address by which clients are told apart. */
  readonly ipv6Prefix: number;
}

/** What the fronts of one worker share. */
export interface Shared {
  readonly wheel: Wheel;
  readonly seed: number;
  /** Names the method whose fronts they are: their clients are counted together. */
  readonly scope: string;
  readonly doors: WorkerDoors;
  /** Where clients are. */
  readonly atlas: Atlas;
  /** Most client connections of this worker, which its descriptors allow. */
  readonly connectionLimit: number;
  /** Client connections of all its fronts. */
  connections: number;
  /** Connections beyond a limit that are being told so. */
  farewells: number;
}

/** Most of them at a time: who comes beyond that too is cut, for a descriptor is worth more than a polite answer. */
const FAREWELLS = 64;
/** ms between two lines about connections beyond a limit. */
const SAY_AGAIN = 1000;

/** One listening socket and its clients. */
export class Front<S extends ServiceState = ServiceState> {
  readonly head: RequestHead;
  /** Peers that say in a PROXY header whose a connection is; theirs must begin with one. */
  readonly introducers: TrustList;
  readonly name: string;
  draining = false;
  private readonly clients = new Set<Client<S>>();
  private readonly listener: TcpListener;
  private whenEmpty: (() => void) | null = null;
  /** Under what its connections are counted over all workers, where a limit is set. */
  private readonly key: number;
  /** Connections beyond a limit since the last line about them, and when that was, ms. */
  private turnedAway = 0;
  private saidAt = Number.NEGATIVE_INFINITY;

  readonly shared: Shared;
  readonly site: Site<S>;
  readonly limits: ClientLimits;
  constructor(
    shared: Shared,
    site: Site<S>,
    limits: ClientLimits,
    socket: InheritedSocket,
    make: (front: Front<S>) => Client<S>,
    introducers: TrustList,
    clientFirst: boolean,
  ) {
    this.introducers = introducers;
    this.shared = shared;
    this.site = site;
    this.limits = limits;
    this.name = listenerName(socket);
    this.key = shared.doors.crowd.keyOf(`listener ${this.name}`);
    this.head = new RequestHead(limits);
    this.listener = adoptListener<Client<S>>(
      socket.fd,
      {
        open: (opened) => this.arrived(opened),
        data: (from, chunk) => from.data.received(chunk),
        drain: (from) => from.data.drained(),
        end: (from) => from.data.finished(),
        close: (from, error) => from.data.closed(error !== undefined),
        rests: (from) => from.data.rests,
        moved: (from) => from.data.moved(from),
        error: (from, error) => {
          const told = { code: "SLUICE_INTERNAL", error: String(error?.stack ?? error) };
          this.log("error", "a client connection failed inside", told);
          from.terminate();
        },
      },
      () => make(this),
      clientFirst,
    );
  }

  get wheel(): Wheel {
    return this.shared.wheel;
  }
  /** Monotonic ms. */
  now(): number {
    return this.shared.doors.now();
  }
  get seed(): number {
    return this.shared.seed;
  }
  log(level: "debug" | "info" | "warn" | "error", message: string, fields: Record<string, unknown>): void {
    this.shared.doors.log(level, message, { listener: this.name, ...fields });
  }

  private arrived(socket: TcpSocket<Client<S>>): void {
    // Whoever reset the connection before it was accepted has no address any more.
    if ((socket.remoteAddress as string | undefined) === undefined) {
      socket.terminate();
      return;
    }
    this.shared.connections++;
    this.clients.add(socket.data);
    const { connections, connectionLimit, farewells } = this.shared;
    socket.data.begin(socket);
    // Who is on the way out does not count: those that try again would keep each other out.
    if (connections - farewells <= connectionLimit && this.holds(socket.data)) socket.data.opened();
    else this.turnAway(socket.data, 503, "SLUICE_HTTP_CONNECTION_LIMIT");
  }

  /** Is there room for one more at this listener? Then it is counted. */
  private holds(client: Client<S>): boolean {
    const { connections } = this.limits;
    if (connections === Number.POSITIVE_INFINITY) return true;
    client.held = this.shared.doors.crowd.enter(this.key) <= connections;
    if (!client.held) this.shared.doors.crowd.leave(this.key);
    return client.held;
  }

  /** It is known whose connection this is: may it have one more? If not, it is turned away. */
  admits(client: Client<S>): boolean {
    const { perAddress, ipv6Prefix } = this.limits;
    if (perAddress === Number.POSITIVE_INFINITY) return true;
    const { crowd } = this.shared.doors;
    const key = crowd.keyOf(`${this.shared.scope} ${clientNetwork(client.address, ipv6Prefix)}`);
    if (crowd.enter(key) <= perAddress) {
      client.addressKey = key;
      return true;
    }
    crowd.leave(key);
    this.turnAway(client, 429, "SLUICE_HTTP_CLIENT_LIMIT");
    return false;
  }

  private turnAway(client: Client<S>, status: number, code: Code): void {
    this.turnedAway++;
    if (this.now() - this.saidAt >= SAY_AGAIN) {
      const { address } = client;
      this.log("warn", "connection refused: limit reached", { code, client: address, refused: this.turnedAway });
      this.turnedAway = 0;
      this.saidAt = this.now();
    }
    if (this.shared.farewells >= FAREWELLS) {
      this.site.fallback?.cells.add(-1, Cell.errors, 1);
      client.terminate();
      return;
    }
    this.shared.farewells++;
    this.giveBack(client);
    client.turnAway(status, code);
  }

  /** A client is gone. */
  left(client: Client<S>): void {
    if (!this.clients.delete(client)) return;
    this.shared.connections--;
    if (client.turnedAway) this.shared.farewells--;
    this.giveBack(client);
    if (this.clients.size === 0) this.whenEmpty?.();
  }

  /** It no longer counts towards any limit. */
  private giveBack(client: Client<S>): void {
    const { crowd } = this.shared.doors;
    if (client.held) crowd.leave(this.key);
    if (client.addressKey !== 0) crowd.leave(client.addressKey);
    client.held = false;
    client.addressKey = 0;
  }

  /**
   * Stops accepting. Requests under way end, each with `Connection: close`; idle clients get `grace` ms to send one
   * more, so that none is cut in the act of sending. Resolves when all are gone, at the latest after `deadline` ms.
   */
  async drain(deadline: number, grace = 1000): Promise<void> {
    this.draining = true;
    this.listener.stop();
    if (this.clients.size === 0) return;
    const empty = new Promise<void>((resolve) => {
      this.whenEmpty = resolve;
    });
    const idle = setTimeout(
      () => {
        for (const client of this.clients) if (client.idle) client.hangUp();
      },
      Math.min(grace, deadline),
    );
    const end = setTimeout(() => {
      for (const client of this.clients) client.terminate();
      this.whenEmpty?.();
    }, deadline);
    await empty;
    clearTimeout(idle);
    clearTimeout(end);
  }
}
