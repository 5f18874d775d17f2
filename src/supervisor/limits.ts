import { readFileSync } from "node:fs";
import { FIRST_SOCKET_FD } from "../core/worker-protocol.ts";

/** Descriptors of the daemon itself: pipes to its children, maps, memory. */
const DAEMON = 64;

/** Open files without which not even the sockets of so many listeners have room: in a worker, and in the daemon for all workers. */
export const leastFiles = (listeners: number, workers: number): number =>
  Math.max(FIRST_SOCKET_FD + listeners, DAEMON + listeners * workers);

/** Descriptors that a worker needs besides connections: sockets, channel, logs, the runtime's own. */
const RESERVED = 256;

/** The soft limit of open files of this process, which children inherit. */
export function openFiles(): number {
  try {
    const line = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    return line?.[1] === "unlimited" ? 1_048_576 : Number(line?.[1] ?? 1024);
  } catch {
    return 1024;
  }
}

/** Client connections that one worker may hold: each may need a second descriptor towards its backend. */
export const connectionLimit = (files = openFiles()): number => Math.max(16, Math.floor((files - RESERVED) / 2));
