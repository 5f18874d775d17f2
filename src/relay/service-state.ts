import type { CounterName } from "../core/counters.ts";
import { counterIndex } from "../core/counters.ts";
import type { Balancer, ServiceCells, WorkerDoors } from "../core/method.ts";
import type { Service } from "../core/service.ts";
import type { ServiceLog } from "./access.ts";

/** Index of each count's cell, as plain numbers for the hot path. */
export const Cell: Record<CounterName, number> = counterIndex;

/** What one worker holds for one HTTP service. */
export class ServiceState<O = unknown> {
  readonly name: string;
  readonly balancer: Balancer;
  readonly cells: ServiceCells;
  readonly service: Service<O>;
  /** Null: its requests are not logged. */
  log: ServiceLog | null = null;
  constructor(service: Service<O>, doors: WorkerDoors) {
    this.service = service;
    this.name = service.name;
    this.balancer = doors.balancer(service.name);
    this.cells = doors.cells(service.name);
  }
  get options(): O {
    return this.service.options;
  }
}
