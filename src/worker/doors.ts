import type { Catalog } from "../catalog.ts";
import type { Balancer, ServiceCells, WorkerDoors } from "../core/method.ts";
import { reportedLoad } from "../core/snapshot.ts";
import type { Assignment, FromWorker } from "../core/worker-protocol.ts";
import { COUNTER_FD } from "../core/worker-protocol.ts";
import { rowsInUse, serviceCells } from "../observe/cells.ts";
import { SharedCrowd } from "../observe/crowd.ts";
import { createLog } from "../observe/log.ts";
import { now } from "../runtime/clock.ts";
import { mapSharedMemory } from "../runtime/memory.ts";
import { createBalancer } from "../schedulers/follow.ts";

/** The balancers of an assignment by service, and the doors through which methods reach them. */
export interface Opened {
  doors: WorkerDoors;
  balancers: Map<string, Balancer>;
}

/**
 * Makes balancers, counter cells and log for an assignment. Every service of it has a snapshot and a cell range.
 * `send` carries what passive health sees to the supervisor.
 */
export function openDoors(
  assignment: Assignment,
  { schedulers, methods }: Pick<Catalog, "schedulers" | "methods">,
  send: (message: FromWorker) => void,
): Opened {
  const { memory } = assignment;
  const { cells } = mapSharedMemory(COUNTER_FD, memory.rows * memory.rowCells);
  // Row 0 holds the counts of workers that are gone; it has no gauges.
  const rows = Array.from({ length: memory.rows }, (_, row) =>
    cells.subarray(row * memory.rowCells, (row + 1) * memory.rowCells),
  );
  const [own, living] = [rows[memory.row]!, rows.slice(1)];
  const inUse = rowsInUse(cells, memory.rowCells);
  const counting = new Map<string, ServiceCells>(
    assignment.cells.map((range) => [range.service, serviceCells(range, own, living, inUse)]),
  );
  const balancers = new Map<string, Balancer>();
  const snapshots = new Map(assignment.snapshots.map((snapshot) => [snapshot.service, snapshot]));
  const reportedAt = (service: string, id: number): number => {
    const balancer = balancers.get(service);
    return balancer ? reportedLoad(balancer.snapshot, balancer.backend(id)) : 0;
  };
  for (const service of assignment.services) {
    const definition = schedulers.find(({ name }) => name === service.scheduler.name)!;
    const snapshot = snapshots.get(service.name)!;
    const counted = counting.get(service.name)!;
    const { traits } = methods.find(({ name }) => name === service.method)!;
    const reported = definition.needs.load === "reported" || traits.load === "reported";
    const env = {
      random: Math.random,
      now,
      seed: assignment.seed,
      load: (backend: number) => (reported ? reportedAt(service.name, backend) : counted.activeEverywhere(backend)),
    };
    balancers.set(service.name, createBalancer(definition, service.scheduler.options, env, snapshot));
  }
  const log = createLog({ ...assignment.log, fields: { worker: process.pid } });
  return {
    balancers,
    doors: {
      balancer: (service) => balancers.get(service)!,
      cells: (service) => counting.get(service)!,
      crowd: new SharedCrowd(own, living, inUse, assignment.seed),
      observed: (service, backend, why) => send({ kind: "observed", service, backend, why }),
      wanted: (service, counted) => send({ kind: "wanted", service, counted }),
      log,
      now,
    },
  };
}
