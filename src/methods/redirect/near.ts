import type { Balancer, WorkerDoors } from "../../core/method.ts";
import type { Service } from "../../core/service.ts";
import { reportedLoad } from "../../core/snapshot.ts";
import { placeSnapshot } from "../../geo/nearest.ts";
import type { Place } from "../../geo/places.ts";
import { createBalancer } from "../../schedulers/follow.ts";
import { schedulers } from "../../schedulers/list.ts";

/** Who sends clients where: the service's own balancer, and with `nearest` one for the backends of each place. */
export class Near {
  private readonly service: Service;
  private readonly whole: Balancer;
  private readonly places: readonly Place[];
  private readonly env: { random(): number; now(): number; seed: number; load(id: number): number };
  private readonly made = new Map<string, Balancer>();

  /** `places`: those of the configuration. */
  constructor(service: Service, whole: Balancer, doors: WorkerDoors, seed: number, places: readonly Place[]) {
    this.service = service;
    this.whole = whole;
    this.places = service.nearest ? places : [];
    // The client's exchange with a backend is not seen: the load is what backends report.
    const load = (id: number): number => reportedLoad(whole.snapshot, whole.backend(id));
    this.env = { random: Math.random, now: () => doors.now(), seed, load };
  }

  /** The balancers to ask for a client of a place (-1: none), in order. */
  private *balancers(place: number): Generator<Balancer> {
    for (const name of this.places[place]?.order ?? []) yield this.at(name);
    yield this.whole;
  }

  /** A backend, and its balancer takes note of it; `without`: ids that must not be; -1: there is none. */
  pick(place: number, key: number, without: ReadonlySet<number>): number {
    if (this.places.length === 0) return note(this.whole, this.whole.pick(key, without));
    for (const balancer of this.balancers(place)) {
      if (balancer.snapshot.eligible.length === 0) continue;
      const id = balancer.pick(key, without);
      if (id >= 0 && !without.has(id)) return note(balancer, id);
    }
    return -1;
  }

  /** Backends, the best first: at most `most` of those that are not in `without`. */
  order(place: number, key: number, without: ReadonlySet<number>, most: number): number[] {
    const found = new Set<number>();
    for (const balancer of this.balancers(place)) {
      if (found.size >= most) break;
      if (balancer.snapshot.eligible.length === 0) continue;
      for (const id of balancer.order(key)) if (!without.has(id) && found.size < most) found.add(id);
    }
    return [...found];
  }

  private at(name: string): Balancer {
    const there = this.made.get(name);
    if (there !== undefined) return there;
    const { name: word, options } = this.service.scheduler;
    const definition = schedulers.find((scheduler) => scheduler.name === word)!;
    const made = createBalancer(definition, options, this.env, placeSnapshot(this.whole.snapshot, name));
    this.made.set(name, made);
    return made;
  }

  /** The service's balancer has a new snapshot. */
  changed(): void {
    for (const [name, balancer] of this.made) balancer.update(placeSnapshot(this.whole.snapshot, name));
  }
}

function note(balancer: Balancer, id: number): number {
  if (id < 0) return -1;
  balancer.began(id);
  balancer.ended(id, "done");
  return id;
}
