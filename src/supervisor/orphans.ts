import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Listener } from "../core/service.ts";
import { COUNTER_FD } from "../core/worker-protocol.ts";
import { sleep } from "../runtime/clock.ts";
import { closeFd, servesListener, socketIdentity } from "../runtime/listen.ts";
import { startTime, takeDescriptor } from "../runtime/pidfd.ts";
import { type Instance, memoryName, readState, writeState } from "../system/instance.ts";
import type { Leaver } from "./sessions.ts";
import type { SocketTable } from "./sockets.ts";

/** A living worker and the sockets it serves, as written down for the next daemon. */
interface Written {
  pid: number;
  started: number | null;
  sockets: (Listener & { fd: number })[];
  /** Under which number it holds the daemon's end of the channel for its sessions; absent in what an older daemon wrote. */
  channel?: number;
}

/** Workers of a daemon that died, whose sockets have been copied. */
export interface Orphans {
  count: number;
  /** Those that hold UDP sockets are told to leave and give their sessions away. */
  leave(): Leaver[];
  /** All are told to finish and go. */
  release(): void;
}

export const WORKERS_FILE = "workers.json";

/** Writes down the living workers: should this daemon die, the next takes their sockets over. */
export function writeWorkers(instance: Instance, workers: readonly Omit<Written, "started">[]): void {
  writeState(
    instance,
    WORKERS_FILE,
    workers.map((worker) => ({ ...worker, started: startTime(worker.pid) })),
  );
}

/** The workers that a daemon of this instance has started, as far as they live. */
export function livingWorkers(instance: Instance): Written[] {
  const written = readState<Written[]>(instance, WORKERS_FILE) ?? [];
  return written.filter(({ pid, started }) => started !== null && startTime(pid) === started);
}

/** A process as the kernel tells it from all others. */
type Named = Pick<Written, "pid" | "started">;

/**
 * Workers of this instance by what the kernel says of all processes: they hold its counter memory. Those that could not
 * be written down, for the disk was full, are among them.
 */
function seenWorkers(instance: Instance): Named[] {
  const memory = `/memfd:${memoryName(instance)} (deleted)`;
  const isWorker = (pid: string): boolean => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      return readlinkSync(`/proc/${pid}/fd/${COUNTER_FD}`) === memory && command.includes("/worker/main.ts\0");
    } catch {
      return false; // gone, or another user's
    }
  };
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isWorker(name));
  return pids.map((pid) => ({ pid: Number(pid), started: startTime(Number(pid)) }));
}

function signal({ pid, started }: Named, name: NodeJS.Signals): void {
  if (startTime(pid) !== started) return;
  try {
    process.kill(pid, name);
  } catch {
    // It has just ended by itself.
  }
}

/** Ends the workers that a dead daemon left: they may finish what is under way within `graceMs`. Returns how many. */
export async function endOrphans(instance: Instance, graceMs: number): Promise<number> {
  const known = livingWorkers(instance);
  const orphans: Named[] = [
    ...known,
    ...seenWorkers(instance).filter((one) => !known.some(({ pid }) => pid === one.pid)),
  ];
  const alive = ({ pid, started }: Named): boolean => started !== null && startTime(pid) === started;
  for (const orphan of orphans) signal(orphan, "SIGTERM");
  for (let waited = 0; waited < graceMs && orphans.some(alive); waited += 50) await sleep(50);
  for (const orphan of orphans) signal(orphan, "SIGKILL");
  return orphans.length;
}

/**
 * Workers of a daemon that died: they serve on with their last snapshot. Copies their listening sockets into the
 * table, so that no waiting connection is lost; `release` lets them finish and go, once new workers serve.
 */
export function adoptOrphans(instance: Instance, sockets: SocketTable): Orphans {
  const alive = livingWorkers(instance);
  const seen = new Set<bigint>();
  for (const { pid, sockets: held } of alive)
    for (const { fd, ...listener } of held) {
      sockets.own(listener);
      const taken = takeDescriptor(pid, fd);
      if (taken < 0) continue;
      // A worker that drains has closed its listeners, and their numbers may mean anything by now; workers of several
      // generations hold the same socket.
      const identity = socketIdentity(taken);
      if (servesListener(taken, listener) && !seen.has(identity)) sockets.adopt(listener, taken);
      else closeFd(taken);
      seen.add(identity);
    }
  // Two signals that come together may be heard in either order: who has been told to leave is told nothing else.
  const told = new Set<Written>();
  return {
    count: alive.length,
    leave: () =>
      alive.flatMap((orphan) => {
        const leaver = leaverOf(orphan);
        if (leaver) told.add(orphan);
        return leaver ?? [];
      }),
    release() {
      for (const orphan of alive) if (!told.has(orphan)) signal(orphan, "SIGTERM");
    },
  };
}

/** Tells a worker to leave and to give its UDP sessions away; null where it has none, or its channel cannot be had. */
function leaverOf(orphan: Written): Leaver | null {
  const { pid, started, sockets, channel: number } = orphan;
  if (number === undefined || !sockets.some(({ protocol }) => protocol === "udp")) return null;
  const channel = takeDescriptor(pid, number);
  if (channel < 0) return null;
  signal(orphan, "SIGUSR2");
  return { channel, gone: () => startTime(pid) !== started, done: () => closeFd(channel) };
}
