import type { Balancer, ServiceCells } from "../core/method.ts";
import type { Service } from "../core/service.ts";
import { eligibleIds, type Snapshot } from "../core/snapshot.ts";
import type { Place } from "../geo/places.ts";
import { createBalancer } from "../schedulers/follow.ts";
import { schedulers } from "../schedulers/list.ts";
import type { Shared } from "./front.ts";
import { Gate, type GateRules } from "./gate.ts";

/** Backends that a request may go to: a scheduler over them, and their gate. */
export interface Among {
  readonly balancer: Balancer;
  readonly gate: Gate;
}

/** The backends of a service that bear all of some tags, with a scheduler of their own, of the service's kind. */
export class Tagged implements Among {
  readonly balancer: Balancer;
  readonly gate: Gate;
  private readonly tags: readonly string[];

  constructor(
    tags: readonly string[],
    service: Service,
    snapshot: Snapshot,
    cells: ServiceCells,
    shared: Shared,
    rules: GateRules,
  ) {
    this.tags = tags;
    this.gate = new Gate(rules, cells, shared.wheel);
    const definition = schedulers.find(({ name }) => name === service.scheduler.name)!;
    const load = (id: number): number => cells.activeEverywhere(id);
    const env = { random: Math.random, now: () => shared.doors.now(), seed: shared.seed, load };
    this.balancer = createBalancer(definition, service.scheduler.options, env, this.part(snapshot));
    this.gate.follow(this.balancer.snapshot);
  }

  follow(snapshot: Snapshot): void {
    this.balancer.update(this.part(snapshot));
    this.gate.follow(this.balancer.snapshot);
  }

  private part(snapshot: Snapshot): Snapshot {
    const backends = snapshot.backends.filter(({ tags }) => this.tags.every((tag) => tags.includes(tag)));
    const down = new Set(backends.filter(({ state }) => state === "down").map(({ id }) => id));
    const eligible = snapshot.eligible.filter((id) => backends.some((backend) => backend.id === id));
    // A tag has its own tiers; but in panic the whole service's word stands.
    const panic = eligible.some((id) => down.has(id));
    return { ...snapshot, backends, eligible: panic ? eligible : eligibleIds(backends) };
  }
}

/** The groups of a service's backends: by the tag of a route, by the client's place, by both. */
export class Groups {
  private readonly all: Among;
  private readonly make: (tags: readonly string[]) => Tagged;
  private readonly places: readonly Place[];
  private readonly made = new Map<string, Tagged>();
  /** Who serves the clients of each place, by tag; until the next snapshot. */
  private readonly found = new Map<string | null, (Among | undefined)[]>();

  /** `all`: the service's own backends. `places`: empty when the service does not go by place. */
  constructor(all: Among, make: (tags: readonly string[]) => Tagged, places: readonly Place[]) {
    this.all = all;
    this.make = make;
    this.places = places;
  }

  /** All backends with a tag; null: all. */
  tagged(tag: string | null): Among {
    return tag === null ? this.all : this.group([tag]);
  }

  /** Those of them that clients of a place get: of it, or of the next in its order that has somebody; else all of them. */
  near(tag: string | null, place: number): Among {
    if (this.places.length === 0 || place < 0) return this.tagged(tag);
    const found = this.found.get(tag) ?? [];
    this.found.set(tag, found);
    found[place] ??= this.nearest(tag, this.places[place]!);
    return found[place];
  }

  private nearest(tag: string | null, { order }: Place): Among {
    for (const name of order) {
      const group = this.group(tag === null ? [name] : [name, tag]);
      if (group.balancer.snapshot.eligible.length > 0) return group;
    }
    return this.tagged(tag);
  }

  private group(tags: readonly string[]): Tagged {
    const key = tags.join("\0");
    const there = this.made.get(key) ?? this.make(tags);
    this.made.set(key, there);
    return there;
  }

  follow(snapshot: Snapshot): void {
    this.found.clear();
    for (const group of this.made.values()) group.follow(snapshot);
  }
}
