import type { WorkerDoors } from "../../core/method.ts";
import type { Service } from "../../core/service.ts";
import { ascii } from "../../protocols/http/octets.ts";
import { reasonOf } from "../../protocols/http/reply.ts";
import type { Shared } from "../../relay/front.ts";
import { ServiceState } from "../../relay/service-state.ts";
import { locationBase } from "./location.ts";
import { Mirrors } from "./mirrors.ts";
import { Near } from "./near.ts";
import type { RedirectOptions } from "./options.ts";

/** A backend as this method needs it: the answer up to the request's path, made once. */
export interface Goal {
  prefix: Buffer;
  /** The start of every Location there. */
  base: string;
  /** Its url has a path, which the request's must not leave. */
  confined: boolean;
}

/** One redirect service: the answers to its backends, and who is sent to which. */
export class Goals extends ServiceState<RedirectOptions> {
  readonly near: Near;
  /** Null: all backends are taken to have all files. */
  readonly mirrors: Mirrors | null;
  /** Are countries known? */
  readonly located: boolean;
  private readonly shared: Shared;
  private goals: (Goal | undefined)[] = [];
  private countries: (string | undefined)[] = [];

  constructor(service: Service, doors: WorkerDoors, shared: Shared) {
    super(service as Service<RedirectOptions>, doors);
    this.shared = shared;
    this.located = shared.atlas.located;
    if (service.nearest || this.located) shared.atlas.ready(this.located);
    this.near = new Near(service, this.balancer, doors, shared.seed, shared.atlas.places);
    this.mirrors = this.options.mirrors === undefined ? null : new Mirrors(this, this.options.mirrors, doors);
  }

  /** Null when the backend is not of the service any more. */
  goal(id: number): Goal | null {
    const known = this.goals[id];
    if (known !== undefined) return known;
    const backend = this.balancer.backend(id);
    if (backend === undefined) return null;
    const { status, scheme } = this.options;
    const goal = this.goalTo(locationBase(backend, scheme, this.service.listen[0]!.port), status);
    this.goals[id] = goal;
    return goal;
  }

  /** The answer that sends to a place which is no backend. */
  goalTo(base: string, status = this.options.status): Goal {
    const prefix = ascii(`HTTP/1.1 ${status} ${reasonOf(status)}\r\nContent-Length: 0\r\nLocation: ${base}`);
    return { prefix, base, confined: new URL(base).pathname !== "/" };
  }

  /** The number of the place that a client is in; -1: in none, or nothing hangs on it. */
  placeOf(address: string): number {
    return this.service.nearest ? this.shared.atlas.placeOf(address) : -1;
  }

  /** ISO 3166-1 letters; empty: not known. */
  countryOf(address: string): string {
    return this.located ? this.shared.atlas.countryOf(address) : "";
  }

  /** Of a backend, by its address. */
  countryAt(id: number): string {
    const backend = this.located ? this.balancer.backend(id) : undefined;
    if (backend === undefined) return "";
    this.countries[id] ??= this.countryOf(backend.address);
    return this.countries[id];
  }

  /** The balancer has a new snapshot: addresses and urls may have changed. */
  changed(): void {
    this.goals = [];
    this.countries = [];
    this.near.changed();
  }
}
