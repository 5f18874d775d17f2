import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { run } from "../runtime/child.ts";
import { sleep } from "../runtime/clock.ts";
import { namespacePath } from "./paths.ts";

/** A process, named so that a number used again is not taken for it: pid and start time in clock ticks since boot. */
export interface ProcessId {
  pid: number;
  started: string;
}

interface Stat {
  state: string;
  parent: number;
  started: string;
}

/** `/proc/PID/stat`; the command's name may hold spaces and parentheses, so fields count from the last one. */
function stat(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0]!, parent: Number(fields[1]), started: fields[19]! };
  } catch {
    return null;
  }
}

/** Null when no such process lives. */
export function identify(pid: number): ProcessId | null {
  const found = stat(pid);
  return found && found.state !== "Z" ? { pid, started: found.started } : null;
}

export function isAlive({ pid, started }: ProcessId): boolean {
  return identify(pid)?.started === started;
}

/** Sends a signal if it is still that process. False when it is gone. */
export function signal(process_: ProcessId, name: NodeJS.Signals): boolean {
  if (!isAlive(process_)) return false;
  try {
    process.kill(process_.pid, name);
    return true;
  } catch {
    return false;
  }
}

/** Waits until it is gone; false when it is still there after `timeout` ms. */
export async function waitGone(process_: ProcessId, timeout: number): Promise<boolean> {
  for (const end = performance.now() + timeout; isAlive(process_); await sleep(5))
    if (performance.now() > end) return false;
  return true;
}

const allPids = (): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** Processes that live in one of these network namespaces, and all their descendants (a child may have left for one of its own). */
export function processesIn(namespaces: readonly string[], roots: readonly ProcessId[] = []): ProcessId[] {
  const inodes = new Set<string>();
  for (const namespace of namespaces) {
    try {
      inodes.add(`net:[${statSync(namespacePath(namespace)).ino}]`);
    } catch {
      // Gone already.
    }
  }
  const found = new Set(roots.filter(isAlive).map(({ pid }) => pid));
  const children = new Map<number, number[]>();
  for (const pid of allPids()) {
    const parent = stat(pid)?.parent;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
    try {
      if (inodes.has(readlinkSync(`/proc/${pid}/ns/net`))) found.add(pid);
    } catch {
      // Ended meanwhile.
    }
  }
  for (const pid of found) for (const child of children.get(pid) ?? []) found.add(child);
  found.delete(process.pid);
  return [...found].map(identify).filter((p) => p !== null);
}

const START = `out=$1 err=$2 ns=$3; shift 3
setsid nsenter --net="$ns" -- "$@" >"$out" 2>"$err" </dev/null & echo $!`;

/**
 * Starts a program in a namespace, in a session of its own, so that it outlives us; stdout and stderr go to files.
 * nsenter(1) and not `ip netns exec`: the latter hides pinned BPF objects. Throws when it cannot be started.
 */
export async function startDetached(
  namespace: string,
  command: readonly string[],
  files: { stdout: string; stderr: string; env?: Record<string, string>; cwd?: string },
): Promise<ProcessId> {
  const result = await run(
    ["sh", "-c", START, "sh", files.stdout, files.stderr, namespacePath(namespace), ...command],
    { ...(files.env ? { env: files.env } : {}), ...(files.cwd ? { cwd: files.cwd } : {}) },
  );
  const pid = Number(result.stdout.trim());
  if (result.code !== 0 || !pid) throw new Error(`cannot start ${command[0]}: ${result.stderr.trim()}`);
  return identify(pid) ?? { pid, started: "" };
}
