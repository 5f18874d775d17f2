import type { Balancer, WorkerDoors } from "../../core/method.ts";
import type { SchedulerDefinition } from "../../core/scheduler.ts";
import type { Service } from "../../core/service.ts";
import type { Snapshot } from "../../core/snapshot.ts";
import { createBalancer } from "../../schedulers/follow.ts";
import { schedulers } from "../../schedulers/list.ts";
import { compile } from "./compile.ts";
import { type DnsOptions, shortestTtl } from "./options.ts";
import { type Current, ServiceAnswers } from "./service-answers.ts";
import type { SiteService } from "./site.ts";

/** The part of a snapshot that one kind of address makes up. */
export function familySnapshot(snapshot: Snapshot, v6: boolean): Snapshot {
  const backends = snapshot.backends.filter((b) => b.address.includes(":") === v6);
  const ids = new Set(backends.map((b) => b.id));
  return { ...snapshot, backends, eligible: snapshot.eligible.filter((id) => ids.has(id)) };
}

/** What all services of a worker share. */
interface Shared {
  seed: number;
  doors: WorkerDoors;
}

/** One service in this worker: what it answers, and how a new snapshot reaches it. */
export class LiveService implements SiteService {
  readonly answers: ServiceAnswers;
  private readonly service: Service<DnsOptions>;
  private readonly shared: Shared;
  private readonly definition: SchedulerDefinition | undefined;
  /** Made when the first question comes. */
  private families: { v4: Balancer; v6: Balancer } | null = null;

  constructor(service: Service<DnsOptions>, shared: Shared) {
    this.service = service;
    this.shared = shared;
    this.definition = schedulers.find((s) => s.name === service.scheduler.name);
    const cells = shared.doors.cells(service.name);
    this.answers = new ServiceAnswers(
      service.name,
      shortestTtl(service.options),
      () => this.current(),
      this.definition?.needs ?? null,
      cells,
    );
  }

  get names(): readonly string[] {
    return this.service.names;
  }

  get ttl(): number {
    return shortestTtl(this.service.options);
  }

  changed(): void {
    this.answers.changed();
  }

  private current(): Current {
    const balancer = this.shared.doors.balancer(this.service.name);
    const { snapshot } = balancer;
    if (this.families === null || this.families.v4 === balancer) {
      // A backend of the other kind may have come.
      this.families = this.familyBalancers(balancer);
    } else {
      this.families.v4.update(familySnapshot(snapshot, false));
      this.families.v6.update(familySnapshot(snapshot, true));
    }
    return { compiled: compile(this.service, snapshot), balancers: this.families };
  }

  /**
   * A service with addresses of both kinds needs two schedulers: resolvers ask for A and AAAA in pairs, and one list of
   * turns that serves both would give one kind every second turn, which can be the same backend for ever.
   */
  private familyBalancers(balancer: Balancer): { v4: Balancer; v6: Balancer } {
    const { snapshot } = balancer;
    const { definition } = this;
    const some = (v6: boolean): boolean => snapshot.backends.some((b) => b.address.includes(":") === v6);
    if (definition === undefined || !some(true) || !some(false)) return { v4: balancer, v6: balancer };
    const { seed, doors } = this.shared;
    const load = (id: number): number => balancer.backend(id)?.load ?? 0;
    const env = { random: Math.random, now: doors.now, seed, load };
    const { options } = this.service.scheduler;
    const make = (v6: boolean): Balancer => createBalancer(definition, options, env, familySnapshot(snapshot, v6));
    return { v4: make(false), v6: make(true) };
  }
}

/** All services of a worker by name. */
export function createLive(
  services: readonly Service<DnsOptions>[],
  seed: number,
  doors: WorkerDoors,
): Map<string, LiveService> {
  const shared = { seed, doors };
  return new Map(services.map((s) => [s.name, new LiveService(s, shared)]));
}
