import type { Balancer, WorkerDoors } from "../../core/method.ts";
import type { SchedulerDefinition } from "../../core/scheduler.ts";
import type { Snapshot } from "../../core/snapshot.ts";
import { createBalancer } from "../../schedulers/follow.ts";

/** The part of a snapshot that one kind of address makes up; who is eligible stays as it is. */
function familySnapshot(snapshot: Snapshot, v6: boolean): Snapshot {
  const backends = snapshot.backends.filter((b) => b.address.includes(":") === v6);
  const ids = new Set(backends.map((b) => b.id));
  return { ...snapshot, backends, eligible: snapshot.eligible.filter((id) => ids.has(id)) };
}

/** What it takes to make schedulers for a part of a service's backends. */
export interface Maker {
  definition: SchedulerDefinition;
  options: unknown;
  seed: number;
  doors: WorkerDoors;
  /** The service's own balancer, which knows all backends. */
  whole(): Balancer;
}

function make({ definition, options, seed, doors, whole }: Maker, snapshot: Snapshot): Balancer {
  const load = (id: number): number => whole().backend(id)?.load ?? 0;
  return createBalancer(definition, options, { random: Math.random, now: doors.now, seed, load }, snapshot);
}

/**
 * Who orders a set of backends. A set with addresses of both kinds needs two schedulers: resolvers ask for A and AAAA in
 * pairs, and one list of turns that serves both would give one kind every second turn, which can be the same backend for
 * ever. Schedulers stay over changes of the set.
 */
export class Pool {
  private readonly maker: Maker | null;
  private single: Balancer | null;
  private double: { v4: Balancer; v6: Balancer } | null = null;
  private readonly owned: boolean;

  /** `single`: the service's own balancer, which others update; null: this pool makes and updates its own. */
  constructor(maker: Maker | null, single: Balancer | null) {
    this.maker = maker;
    this.single = single;
    this.owned = single === null;
  }

  /** The balancers of A and AAAA for the present snapshot. */
  follow(snapshot: Snapshot): { v4: Balancer; v6: Balancer } {
    const { maker } = this;
    const some = (v6: boolean): boolean => snapshot.backends.some((b) => b.address.includes(":") === v6);
    if (maker !== null && (this.double !== null || (some(true) && some(false)))) {
      const v4 = familySnapshot(snapshot, false);
      const v6 = familySnapshot(snapshot, true);
      if (this.double === null) this.double = { v4: make(maker, v4), v6: make(maker, v6) };
      else {
        this.double.v4.update(v4);
        this.double.v6.update(v6);
      }
      return this.double;
    }
    if (this.single === null) this.single = make(maker!, snapshot);
    else if (this.owned) this.single.update(snapshot);
    return { v4: this.single, v6: this.single };
  }
}
