import type { Balancer, WorkerDoors } from "../../core/method.ts";
import type { Service } from "../../core/service.ts";
import type { Snapshot } from "../../core/snapshot.ts";
import { createBalancer } from "../../schedulers/follow.ts";
import { schedulers } from "../../schedulers/list.ts";
import { compile } from "./compile.ts";
import type { DnsOptions } from "./options.ts";
import { ServiceAnswers } from "./service-answers.ts";
import type { SiteService } from "./site.ts";

/** The part of a snapshot that one kind of address makes up. */
export function familySnapshot(snapshot: Snapshot, v6: boolean): Snapshot {
  const backends = snapshot.backends.filter((b) => b.address.includes(":") === v6);
  const ids = new Set(backends.map((b) => b.id));
  return { ...snapshot, backends, eligible: snapshot.eligible.filter((id) => ids.has(id)) };
}

/** One service in this worker: what it answers, and how a new snapshot reaches it. */
export class LiveService implements SiteService {
  readonly names: readonly string[];
  readonly ttl: number;
  readonly answers: ServiceAnswers;
  private readonly service: Service<DnsOptions>;
  private readonly balancer: Balancer;
  private families: { v4: Balancer; v6: Balancer };
  private readonly seed: number;
  private readonly doors: WorkerDoors;

  constructor(service: Service<DnsOptions>, seed: number, doors: WorkerDoors) {
    this.service = service;
    this.seed = seed;
    this.doors = doors;
    this.names = service.names;
    this.ttl = service.options.ttl;
    this.balancer = doors.balancer(service.name);
    this.families = this.familyBalancers();
    const definition = schedulers.find((s) => s.name === service.scheduler.name);
    const compiled = compile(service, this.balancer.snapshot);
    this.answers = new ServiceAnswers(compiled, this.families, definition?.needs ?? null, doors.cells(service.name));
  }

  changed(): void {
    const { snapshot } = this.balancer;
    if (this.families.v4 === this.balancer) {
      // A backend of the other kind may have come.
      this.families = this.familyBalancers();
    } else {
      this.families.v4.update(familySnapshot(snapshot, false));
      this.families.v6.update(familySnapshot(snapshot, true));
    }
    this.answers.update(compile(this.service, snapshot), this.families);
  }

  /**
   * A service with addresses of both kinds needs two schedulers: resolvers ask for A and AAAA in pairs, and one list of
   * turns that serves both would give one kind every second turn, which can be the same backend for ever.
   */
  private familyBalancers(): { v4: Balancer; v6: Balancer } {
    const { snapshot } = this.balancer;
    const kinds = new Set(snapshot.backends.map((b) => b.address.includes(":")));
    const { name, options } = this.service.scheduler;
    const definition = schedulers.find((s) => s.name === name);
    if (kinds.size < 2 || definition === undefined) return { v4: this.balancer, v6: this.balancer };
    const load = (id: number): number => this.balancer.backend(id)?.load ?? 0;
    const env = { random: Math.random, now: this.doors.now, seed: this.seed, load };
    const make = (v6: boolean): Balancer => createBalancer(definition, options, env, familySnapshot(snapshot, v6));
    return { v4: make(false), v6: make(true) };
  }
}

/** All services of a worker by name. */
export const createLive = (
  services: readonly Service<DnsOptions>[],
  seed: number,
  doors: WorkerDoors,
): Map<string, LiveService> => new Map(services.map((s) => [s.name, new LiveService(s, seed, doors)]));
