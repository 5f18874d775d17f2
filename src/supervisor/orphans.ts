import type { Listener } from "../core/service.ts";
import { startTime, takeDescriptor } from "../runtime/pidfd.ts";
import { type Instance, readState, writeState } from "../system/instance.ts";
import type { SocketTable } from "./sockets.ts";

/** A living worker and the sockets it serves, as written down for the next daemon. */
interface Written {
  pid: number;
  started: number | null;
  sockets: (Listener & { fd: number })[];
}

const FILE = "workers.json";

/** Writes down the living workers: should this daemon die, the next takes their sockets over. */
export function writeWorkers(instance: Instance, workers: readonly Omit<Written, "started">[]): void {
  writeState(
    instance,
    FILE,
    workers.map((worker) => ({ ...worker, started: startTime(worker.pid) })),
  );
}

/**
 * Workers of a daemon that died: they serve on with their last snapshot. Copies their listening sockets into the
 * table, so that no waiting connection is lost; `release` lets them finish and go, once new workers serve.
 */
export function adoptOrphans(instance: Instance, sockets: SocketTable): { count: number; release(): void } {
  const written = readState<Written[]>(instance, FILE) ?? [];
  const alive = written.filter(({ pid, started }) => started !== null && startTime(pid) === started);
  for (const { pid, sockets: held } of alive)
    for (const { fd, ...listener } of held) {
      const taken = takeDescriptor(pid, fd);
      if (taken < 0) continue;
      sockets.adopt(listener, taken);
    }
  return {
    count: alive.length,
    release() {
      for (const { pid, started } of alive)
        if (startTime(pid) === started) {
          try {
            process.kill(pid, "SIGTERM");
          } catch {
            // It has just ended by itself.
          }
        }
    },
  };
}
