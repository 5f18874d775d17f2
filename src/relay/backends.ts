import { parseAddress } from "../core/address.ts";
import { type Backend, backendName } from "../core/backend.ts";
import type { Code } from "../core/codes.ts";
import type { WorkerDoors } from "../core/method.ts";
import type { Service } from "../core/service.ts";
import type { FieldBlock } from "../protocols/http/field-block.ts";
import { Field } from "../protocols/http/fields.ts";
import { ascii } from "../protocols/http/octets.ts";
import type { RequestTail } from "../protocols/http/write.ts";
import { Forwarder } from "./forwarder.ts";
import type { Shared } from "./front.ts";
import { Gate, type GateRules } from "./gate.ts";
import { Idle } from "./idle.ts";
import { type BackendLimits, Pool } from "./pool.ts";
import { type RouteOptions, tagsOf } from "./route-options.ts";
import { type Route, Routes } from "./routes.ts";
import { Cell, ServiceState } from "./service-state.ts";
import { createSticky, type Sticky, type StickyOptions } from "./sticky.ts";
import { Streamer } from "./streamer.ts";
import { type Among, Groups, Tagged } from "./tagged.ts";
import type { TrustList } from "./trust.ts";

/** What forwarding needs to know of a service beside its limits. */
export interface ForwardingRules {
  /** Our name in `Via`. */
  readonly via: string;
  /** Sends after the first, but for those that replace a kept connection that turned out closed. */
  readonly retries: number;
  /** Upgrade words let through, lower case. */
  readonly upgrades: readonly string[];
  readonly routes: readonly RouteOptions[];
  /** plain: a path that a backend may read so that another route fits is refused. */
  readonly paths: "plain" | "as-sent";
  /** Absent: clients are not brought back to their backend. */
  readonly sticky?: StickyOptions | undefined;
  /** Whose X-Forwarded-* are taken as true. */
  readonly trusted: TrustList;
  /** Write Forwarded beside X-Forwarded-*. */
  readonly forwarded: boolean;
  /** Statuses of a backend, or no answer in time, that send an idempotent request to another. */
  readonly retryOn: readonly (number | "timeout")[];
  /** Statuses of a backend that count as its failure. */
  readonly failureStatuses: readonly number[];
  /** Begin connections to backends with a PROXY header; then each is for one request only. */
  readonly sendProxy?: "v1" | "v2" | undefined;
}

/** Failures of one backend that are told to the supervisor, ms apart: it reads their number from the counters. */
const TELL_EVERY = 10;

/** Clients whose part of requests is kept: many come with a connection for each request. */
const TAILS = 128;

const linesOf = (via: string, proto: string): RequestTail["lines"] => [
  ascii(`${proto}Via: 1.0 ${via}\r\n`),
  ascii(`${proto}Via: 1.1 ${via}\r\n`),
];

/** One service whose requests are forwarded: its backends' connections and its rules. */
export class Backends extends ServiceState {
  readonly upgrades: readonly Uint8Array[];
  readonly retries: number;
  readonly sendProxy: "v1" | "v2" | undefined;
  private readonly trustedLines: RequestTail["lines"];
  private readonly strangersLines: RequestTail["lines"];
  readonly idle: Idle;
  private readonly pools: (Pool | undefined)[] = [];

  private readonly doors: WorkerDoors;
  private readonly shared: Shared;
  private readonly rules: ForwardingRules;
  readonly gate: Gate;
  /** Null: all requests go to all backends. */
  readonly routes: Routes | null;
  readonly sticky: Sticky | null;
  private readonly groups: Groups;
  private readonly tails = new Map<string, { listener: string; tail: RequestTail }>();
  private readonly toldAt: number[] = [];
  constructor(
    service: Service,
    doors: WorkerDoors,
    shared: Shared,
    rules: ForwardingRules,
    limits: BackendLimits,
    gate: GateRules,
  ) {
    super(service, doors);
    this.gate = new Gate(gate, this.cells, shared.wheel);
    this.gate.follow(this.balancer.snapshot);
    const { sticky } = rules;
    this.sticky = sticky === undefined ? null : createSticky(sticky, service.name, this.balancer.snapshot, shared.seed);
    const { places } = shared.atlas;
    this.routes =
      rules.routes.length === 0
        ? null
        : new Routes(
            rules.routes,
            places.map(({ name }) => name),
            rules.paths === "as-sent",
          );
    const make = (tags: readonly string[]): Tagged =>
      new Tagged(tags, service, this.balancer.snapshot, this.cells, shared, gate);
    this.groups = new Groups(this, make, service.nearest ? places : []);
    if (service.nearest || this.routes?.byPlace) shared.atlas.ready();
    for (const { tag } of rules.routes.flatMap(tagsOf)) this.groups.tagged(tag);
    this.doors = doors;
    this.shared = shared;
    this.rules = rules;
    this.idle = new Idle(limits, shared.wheel);
    this.upgrades = rules.upgrades.map(ascii);
    this.retries = rules.retries;
    this.sendProxy = rules.sendProxy;
    this.trustedLines = linesOf(rules.via, "");
    this.strangersLines = linesOf(rules.via, "X-Forwarded-Proto: http\r\n");
  }

  /** The pool of a backend; null when it is not of the service any more. */
  pool(id: number): Pool | null {
    const known = this.pools[id];
    if (known !== undefined) return known;
    const backend = this.balancer.backend(id);
    if (backend === undefined) return null;
    const port = backend.port ?? this.service.listen[0]!.port;
    const count = () => this.cells.add(id, Cell.connections, 1);
    const pool = new Pool(this.idle, backend, port, count, (error) => this.faulted(backend, error));
    this.pools[id] = pool;
    return pool;
  }

  /** The number of the place that a client is in; -1: in none, or nothing hangs on it. */
  placeOf(address: string): number {
    return this.service.nearest || this.routes?.byPlace ? this.shared.atlas.placeOf(address) : -1;
  }

  /** The backends for a request of this route: of one tag, drawn by weight; if that has none, of another that has. */
  amongFor(route: Route | null, place: number): Among {
    if (route === null || route.split.length === 0) return this.groups.near(null, place);
    const { split } = route;
    const drawn = split.length === 1 ? 0 : Math.random() * split[split.length - 1]!.until;
    const first = this.groups.near((split.find(({ until }) => drawn < until) ?? split[0]!).tag, place);
    if (first.balancer.snapshot.eligible.length > 0 || split.length === 1) return first;
    const others = split.map(({ tag }) => this.groups.near(tag, place));
    return others.find(({ balancer }) => balancer.snapshot.eligible.length > 0) ?? first;
  }

  /** Does a response of this status, or none in time, send the request to another backend? */
  retriesOn(what: number | "timeout"): boolean {
    return this.rules.retryOn.includes(what);
  }

  /** A response has come: some statuses are a backend's failure too. */
  answeredWith(id: number, status: number): void {
    if (status < 500 || !this.rules.failureStatuses.includes(status)) return;
    this.failedAt(id, "SLUICE_BACKEND_STATUS");
  }

  private failedAt(id: number, why: Code): void {
    this.cells.add(id, Cell.failures, 1);
    this.cells.add(-1, Cell.failures, 1);
    const now = this.doors.now();
    if (now - (this.toldAt[id] ?? Number.NEGATIVE_INFINITY) < TELL_EVERY) return;
    this.toldAt[id] = now;
    this.doors.observed(this.name, id, why);
  }

  /** Passive health: what happened goes to the supervisor and the log. */
  observed(id: number, why: Code, detail: string): void {
    this.failedAt(id, why);
    const backend = this.balancer.backend(id);
    this.doors.log("warn", "backend failed", {
      service: this.name,
      backend: backend ? backendName(backend) : id,
      code: why,
      detail,
    });
  }

  /** A fault of our own at a connection to it. */
  private faulted(backend: Backend, error: Error): void {
    this.doors.log("error", "a backend connection failed inside", {
      service: this.name,
      backend: backendName(backend),
      code: "SLUICE_INTERNAL",
      error: String(error?.stack ?? error),
    });
  }

  /** What our requests carry for a client at `address` that came to `listener`. */
  tailFor(address: string, listener: string): RequestTail {
    const kept = this.tails.get(address);
    if (kept?.listener === listener) return kept.tail;
    if (this.tails.size >= TAILS) this.tails.clear();
    const tail = this.makeTail(address, listener);
    this.tails.set(address, { listener, tail });
    return tail;
  }

  private makeTail(address: string, listener: string): RequestTail {
    const trusted = this.rules.trusted.has(address);
    const lines = trusted ? this.trustedLines : this.strangersLines;
    // A socket that serves both families shows an IPv4 client as IPv6.
    const client = parseAddress(address) ?? address;
    return {
      lines,
      address: ascii(client),
      forwardedFor: ascii(`X-Forwarded-For: ${client}\r\n`),
      trusted,
      host: ascii(listener),
      element: ascii(`for=${client.includes(":") ? `"[${client}]"` : client};proto=http`),
      forwarded: this.rules.forwarded,
    };
  }

  /** How many members of the Via lines bear our name (RFC 9110 7.6.3). */
  loops(bytes: Buffer, fields: FieldBlock): number {
    let count = 0;
    for (let k = 0; k < fields.count; k++) {
      if (fields.id[k] !== Field.VIA) continue;
      const value = bytes.toString("latin1", fields.value[k], fields.valueEnd[k]);
      for (const member of value.split(",")) if (member.trim().split(/[ \t]+/)[1] === this.rules.via) count++;
    }
    return count;
  }

  /** The balancer has a new snapshot: lets go of backends that are gone, and saves what can be saved from the dead. */
  changed(): void {
    this.sticky?.follow(this.balancer.snapshot);
    this.groups.follow(this.balancer.snapshot);
    const eligible = new Set(this.balancer.snapshot.eligible);
    this.pools.forEach((pool, id) => {
      const backend = this.balancer.backend(id);
      // In panic those that are down get work too.
      if (backend?.state === "up" || backend?.state === "unchecked" || eligible.has(id)) {
        pool!.open();
        return;
      }
      pool!.shut();
      for (const upstream of [...pool!.all]) {
        const client = upstream.worksFor;
        if (!(client instanceof Forwarder || client instanceof Streamer)) continue;
        if (backend?.state === "maintenance" && client.tunnelling) client.terminate();
        else if (backend?.state === "down") client.moveOn();
      }
      if (backend === undefined && pool!.all.size === 0) delete this.pools[id];
    });
    this.gate.follow(this.balancer.snapshot);
  }
}
