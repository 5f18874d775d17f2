import type { Balancer, WorkerDoors } from "../../core/method.ts";
import type { SchedulerDefinition } from "../../core/scheduler.ts";
import type { Service } from "../../core/service.ts";
import type { Snapshot } from "../../core/snapshot.ts";
import type { Place } from "../../geo/places.ts";
import { schedulers } from "../../schedulers/list.ts";
import { addressesIfUp, compile } from "./compile.ts";
import { type LikelySet, likelyCount, likelySets } from "./likely.ts";
import { type DnsOptions, shortestTtl } from "./options.ts";
import { type Maker, Pool } from "./pool.ts";
import { type AnswersOf, type Current, ServiceAnswers } from "./service-answers.ts";
import type { SiteService } from "./site.ts";
import { type Leaf, type Plan, planOf } from "./steering/plan.ts";
import { Steering } from "./steering/steering.ts";

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
  /** Made when the first question comes. */
  private pool: Pool | null = null;
  private readonly of: AnswersOf;
  /** Groups of backends that have been answered, by their path. */
  private readonly groups = new Map<string, GroupAnswers>();

  constructor(service: Service<DnsOptions>, shared: Shared) {
    this.service = service;
    this.shared = shared;
    this.definition = schedulers.find((s) => s.name === service.scheduler.name);
    this.of = {
      name: service.name,
      ttl: this.ttl,
      network: service.options.network,
      needs: this.definition?.needs ?? null,
      cells: shared.doors.cells(service.name),
      whenAllUp: () => addressesIfUp(this.balancer.snapshot),
    };
    this.answers = new ServiceAnswers(this.of, () => this.current());
    const grouped = service.options.steer !== undefined || (service.nearest && shared.places.length > 0);
    if (grouped && this.definition !== undefined)
      this.answers.steering = new Steering(
        () => this.plan(),
        (leaf) => this.groupAnswers(leaf),
        shared.seed,
        Math.random(),
      );
  }

  get names(): readonly string[] {
    return this.service.names;
  }

  get ttl(): number {
    return shortestTtl(this.service.options);
  }

  /** Sets of addresses that it answers or soon may. */
  likely(): Iterable<LikelySet[]> {
    return likelySets(this.service, this.balancer.snapshot, this.shared.places);
  }

  get likelyCount(): number {
    return likelyCount(this.service);
  }

  changed(): void {
    this.answers.changed();
    this.answers.steering?.changed();
  }

  /** What hangs on the client, and the backends that each may be answered with. */
  plan(): Plan {
    return planOf(this.service, this.balancer.snapshot, this.shared.places);
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

  /** Schedulers of a group stay over changes of its backends, and over times in which it is not answered. */
  private groupAnswers(leaf: Leaf): ServiceAnswers {
    if (leaf.path === "") return this.answers;
    let group = this.groups.get(leaf.path);
    if (group === undefined) {
      const made: GroupAnswers = {
        snapshot: leaf.snapshot,
        pool: new Pool(this.maker(), null),
        answers: new ServiceAnswers(this.of, () => ({
          compiled: compile(this.service, made.snapshot),
          balancers: made.pool.follow(made.snapshot),
        })),
      };
      this.groups.set(leaf.path, made);
      group = made;
    }
    if (group.snapshot !== leaf.snapshot) {
      group.snapshot = leaf.snapshot;
      group.answers.changed();
    }
    return group.answers;
  }
}

/** What a group of backends answers. */
interface GroupAnswers {
  snapshot: Snapshot;
  pool: Pool;
  answers: ServiceAnswers;
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
