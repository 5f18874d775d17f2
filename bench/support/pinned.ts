import { readdirSync, readFileSync } from "node:fs";
import type { Subprocess } from "bun";

/** The server under test has this core to itself; what loads it, and the backend, share the other. */
export const SERVER_CORE = 0;
export const LOAD_CORE = 1;

/** Open files that a program may have: all that the host lets us give. */
export const FILES = Number(
  /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1] ?? 1024,
);

/** A program that the bench started, on one core. */
export interface Pinned {
  pid: number;
  /** What it has said on both outputs. */
  said(): string;
  exited: Promise<number>;
  /** SIGTERM, after 3 s SIGKILL. */
  stop(): Promise<void>;
}

/** Starts a program on a core, with room for many sockets. */
export function startPinned(core: number, command: readonly string[], env: Record<string, string> = {}): Pinned {
  const child: Subprocess<"ignore", "pipe", "pipe"> = Bun.spawn(
    ["prlimit", `--nofile=${FILES}:${FILES}`, "taskset", "-c", String(core), ...command],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe", env: { ...process.env, ...env } },
  );
  let said = "";
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    for await (const chunk of stream) said += Buffer.from(chunk).toString();
  };
  void Promise.all([read(child.stdout), read(child.stderr)]);
  return {
    pid: child.pid,
    said: () => said,
    exited: child.exited,
    async stop() {
      child.kill("SIGTERM");
      await Promise.race([child.exited, Bun.sleep(3000)]);
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** Runs a program on a core to its end; throws when it fails. @returns its standard output. */
export async function runPinned(
  core: number,
  command: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const child = startPinned(core, command, env);
  const code = await child.exited;
  await Bun.sleep(0);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${child.said().slice(-2000)}`);
  return child.said();
}

/** Fields of /proc/PID/stat behind the command's name; null when the process is gone. */
function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

/** A process and all below it. */
export function family(pid: number): number[] {
  const parents = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    const child = Number(entry);
    const parent = Number.isInteger(child) ? statOf(child)?.[1] : undefined;
    if (parent !== undefined) parents.set(Number(parent), [...(parents.get(Number(parent)) ?? []), child]);
  }
  const found = [pid];
  for (let i = 0; i < found.length; i++) found.push(...(parents.get(found[i]!) ?? []));
  return found;
}

/** Every x86-64 and arm64 Linux counts CPU time for programs in 1/100 s. */
const TICK_US = 10_000;

/** CPU time, user and system, of all threads of these processes; microseconds. */
export function cpuOf(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const stat = statOf(pid);
    if (stat !== null) ticks += Number(stat[11]) + Number(stat[12]);
  }
  return ticks * TICK_US;
}

/** CPU time of the whole machine that was not idle, interrupts included; microseconds. */
export function machineCpu(): number {
  const [, ...times] = readFileSync("/proc/stat", "latin1").split("\n", 1)[0]!.trim().split(/\s+/);
  const [user, nice, system, , , irq, softirq] = times.map(Number);
  return (user! + nice! + system! + irq! + softirq!) * TICK_US;
}

/** Memory of these processes, shared pages counted in part; bytes. */
export function memoryOf(pids: readonly number[]): number {
  let total = 0;
  for (const pid of pids) {
    try {
      total += Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "latin1"))?.[1] ?? 0) * 1024;
    } catch {
      // It is gone, and its memory with it.
    }
  }
  return total;
}

/** A port on loopback that was free a moment ago. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  listener.stop(true);
  return listener.port;
}

/** Waits until a TCP port of loopback takes connections. */
export async function untilOpen(port: number, program: Pinned): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const open = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } }).then(
      (socket) => (socket.terminate(), true),
      () => false,
    );
    if (open) return;
    await Bun.sleep(50);
  }
  throw new Error(`nothing listens on port ${port}: ${program.said().slice(-2000)}`);
}
