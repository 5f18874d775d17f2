import type { Balancer, WorkerDoors } from "../../core/method.ts";
import type { SchedulerDefinition } from "../../core/scheduler.ts";
import type { Service } from "../../core/service.ts";
import { type Near, nearest } from "../../geo/nearest.ts";
import type { Place } from "../../geo/places.ts";
import { schedulers } from "../../schedulers/list.ts";
import { addressesIfUp, compile } from "./compile.ts";
import { type DnsOptions, shortestTtl } from "./options.ts";
import { type Maker, Pool } from "./pool.ts";
import { type Current, ServiceAnswers } from "./service-answers.ts";
import type { SiteService } from "./site.ts";

/** What all services of a worker share. */
interface Shared {
  seed: number;
  doors: WorkerDoors;
  places: readonly Place[];
}

/** One service in this worker: what it answers, and how a new snapshot reaches it. */
export class LiveService implements SiteService {
  readonly answers: ServiceAnswers;
  private readonly service: Service<DnsOptions>;
  private readonly shared: Shared;
  private readonly definition: SchedulerDefinition | undefined;
  /** Made when the first question comes: of all backends, and of those of each place. */
  private pool: Pool | null = null;
  private readonly placePools = new Map<string, Pool>();

  constructor(service: Service<DnsOptions>, shared: Shared) {
    this.service = service;
    this.shared = shared;
    this.definition = schedulers.find((s) => s.name === service.scheduler.name);
    const { network } = service.options;
    const of = {
      name: service.name,
      ttl: this.ttl,
      network,
      needs: this.definition?.needs ?? null,
      cells: shared.doors.cells(service.name),
      whenAllUp: () => addressesIfUp(this.balancer.snapshot),
    };
    this.answers = new ServiceAnswers(of, () => this.current());
    if (service.nearest && this.definition !== undefined && shared.places.length > 0)
      this.answers.byPlace = shared.places.map((place) => new ServiceAnswers(of, () => this.nearest(place)));
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

  private get balancer(): Balancer {
    return this.shared.doors.balancer(this.service.name);
  }

  private maker(): Maker | null {
    const { seed, doors } = this.shared;
    const { definition } = this;
    const { options } = this.service.scheduler;
    return definition === undefined ? null : { definition, options, seed, doors, whole: () => this.balancer };
  }

  /** All backends. */
  private current(): Current {
    const { balancer } = this;
    this.pool ??= new Pool(this.maker(), balancer);
    const { snapshot } = balancer;
    return { compiled: compile(this.service, snapshot), balancers: this.pool.follow(snapshot) };
  }

  /** Those of a place; while it has nobody eligible those of the next one, in its order; at last all. */
  private nearest(place: Place): Current {
    const { place: name, snapshot } = this.snapshotAt(this.shared.places.indexOf(place));
    if (name === null) return this.current();
    const pool = this.placePools.get(name) ?? new Pool(this.maker(), null);
    this.placePools.set(name, pool);
    return { compiled: compile(this.service, snapshot), balancers: pool.follow(snapshot) };
  }

  /** The backends that clients of a place (by number; -1: of none) are answered with, and whose they are; null: all. */
  snapshotAt(place: number): Near {
    return nearest(this.balancer.snapshot, this.shared.places[place]);
  }
}

/** All services of a worker by name. */
export function createLive(
  services: readonly Service<DnsOptions>[],
  seed: number,
  doors: WorkerDoors,
  places: readonly Place[],
): Map<string, LiveService> {
  const shared = { seed, doors, places };
  return new Map(services.map((s) => [s.name, new LiveService(s, shared)]));
}
