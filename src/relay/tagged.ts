import type { Balancer, ServiceCells } from "../core/method.ts";
import type { Service } from "../core/service.ts";
import { eligibleIds, type Snapshot } from "../core/snapshot.ts";
import { createBalancer } from "../schedulers/follow.ts";
import { schedulers } from "../schedulers/list.ts";
import type { Shared } from "./front.ts";
import { Gate, type GateRules } from "./gate.ts";

/** Backends that a request may go to: a scheduler over them, and their gate. */
export interface Among {
  readonly balancer: Balancer;
  readonly gate: Gate;
}

/** The backends of a service that bear a tag, with a scheduler of their own, of the service's kind. */
export class Tagged implements Among {
  readonly balancer: Balancer;
  readonly gate: Gate;
  private readonly tag: string;

  constructor(
    tag: string,
    service: Service,
    snapshot: Snapshot,
    cells: ServiceCells,
    shared: Shared,
    rules: GateRules,
  ) {
    this.tag = tag;
    this.gate = new Gate(rules, cells, shared.wheel);
    const definition = schedulers.find(({ name }) => name === service.scheduler.name)!;
    const load = (id: number): number =>
      definition.needs.load === "reported" ? (this.balancer.backend(id)?.load ?? 0) : cells.activeEverywhere(id);
    const env = { random: Math.random, now: () => shared.doors.now(), seed: shared.seed, load };
    this.balancer = createBalancer(definition, service.scheduler.options, env, this.part(snapshot));
    this.gate.follow(this.balancer.snapshot);
  }

  follow(snapshot: Snapshot): void {
    this.balancer.update(this.part(snapshot));
    this.gate.follow(this.balancer.snapshot);
  }

  private part(snapshot: Snapshot): Snapshot {
    const backends = snapshot.backends.filter(({ tags }) => tags.includes(this.tag));
    const down = new Set(backends.filter(({ state }) => state === "down").map(({ id }) => id));
    const eligible = snapshot.eligible.filter((id) => backends.some((backend) => backend.id === id));
    // A tag has its own tiers; but in panic the whole service's word stands.
    const panic = eligible.some((id) => down.has(id));
    return { ...snapshot, backends, eligible: panic ? eligible : eligibleIds(backends) };
  }
}
