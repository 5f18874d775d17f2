import { constants } from "node:os";

/** The result of a system program that ran to its end. */
export interface Finished {
  /** Exit code; 128 + signal when a signal ended it. */
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string;
  /** ms after which it is killed (code 137). Default 30 s. */
  timeout?: number;
  env?: Record<string, string>;
  cwd?: string;
}

/** 128 + SIGKILL */
const KILLED = 137;

/** As a shell tells it. */
const exitCode = (code: number | null, signal: string | number | null | undefined): number =>
  code ?? 128 + (constants.signals[signal as NodeJS.Signals] ?? constants.signals.SIGKILL);

/** What has come of a stream so far, and when it is over, or nobody wants more of it. */
function gather(stream: ReadableStream<Uint8Array>): { ended: Promise<void>; leave(): void; text(): string } {
  const chunks: Uint8Array[] = [];
  const reader = stream.getReader();
  const read = async (): Promise<void> => {
    for (let next = await reader.read(); !next.done; next = await reader.read()) chunks.push(next.value);
  };
  return { ended: read(), leave: () => void reader.cancel(), text: () => Buffer.concat(chunks).toString() };
}

/**
 * Runs a program to its end. Never throws: a program that is not there ends with code 127. Of one that was killed for its
 * time nothing more is waited for, though programs that it has started may hold its output open.
 */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
  try {
    const child = Bun.spawn([...command], {
      stdin: options.input === undefined ? "ignore" : new Blob([options.input]),
      stdout: "pipe",
      stderr: "pipe",
      timeout: options.timeout ?? 30_000,
      killSignal: "SIGKILL",
      ...(options.env ? { env: { ...process.env, ...options.env } } : {}),
      ...(options.cwd ? { cwd: options.cwd } : {}),
    });
    const [stdout, stderr] = [gather(child.stdout), gather(child.stderr)];
    const code = await child.exited;
    if (code === KILLED) for (const output of [stdout, stderr]) output.leave();
    await Promise.all([stdout.ended, stderr.ended]);
    return { code, stdout: stdout.text(), stderr: stderr.text() };
  } catch (error) {
    return { code: 127, stdout: "", stderr: String(error instanceof Error ? error.message : error) };
  }
}

/** `run` without waiting on the loop: for short commands at start and stop. */
export function runSync(command: readonly string[], options: RunOptions = {}): Finished {
  try {
    const {
      exitCode: code,
      signalCode,
      stdout,
      stderr,
    } = Bun.spawnSync([...command], {
      ...(options.input === undefined ? {} : { stdin: Buffer.from(options.input) }),
      stdout: "pipe",
      stderr: "pipe",
      timeout: options.timeout ?? 30_000,
      ...(options.env ? { env: { ...process.env, ...options.env } } : {}),
      ...(options.cwd ? { cwd: options.cwd } : {}),
    });
    return { code: exitCode(code, signalCode), stdout: stdout.toString(), stderr: stderr.toString() };
  } catch (error) {
    return { code: 127, stdout: "", stderr: String(error instanceof Error ? error.message : error) };
  }
}

export interface ChildOptions<Out> {
  /** Path of the program's TypeScript file. */
  program: string;
  args?: readonly string[];
  /** Descriptors that the child sees as 3, 4, 5 … in this order. */
  fds?: readonly number[];
  /**
   * Start with no right but that of changing its user, which the program gives up by `dropPrivileges()` once its own
   * files are read (they may lie where only root can read). Without root the child has our own few rights anyway.
   */
  unprivileged?: boolean;
  /** What it writes to standard output goes to standard error: the former belongs to the command that starts it. */
  talksAside?: boolean;
  /** A network namespace of its own, born and gone with it. */
  privateNetwork?: boolean;
  /**
   * How long memory that is free stays with the child before the system has it back, ms, and holes between what is used for
   * good; default: hardly at all. What comes and goes with every message is then never asked for again, page by page. The
   * environment may say otherwise.
   */
  keepsMemory?: number;
  /** Does the same work a million times: its code is compiled to the last at once, which `bin/sluice` holds back in ours. */
  hot?: boolean;
  onMessage(message: Out): void;
  onExit(code: number | null, signal: string | null): void;
}

export interface Child<In> {
  readonly pid: number;
  send(message: In): void;
  kill(signal?: NodeJS.Signals): void;
  /** Its exit code, as a shell tells it, once `onExit` has been called: Bun's own promise comes before that. */
  readonly exited: Promise<number>;
}

/** JavaScriptCore's option by which `bin/sluice` holds the compiler's last stage back. */
const HELD_BACK = "BUN_JSC_thresholdForFTLOptimizeAfterWarmUp";

/**
 * Starts one of our own programs as a child with a JSON channel. Its stderr is ours. The command line goes through
 * setpriv(1) and unshare(1), which `exec`: the pid is the program's.
 */
export function spawnChild<In, Out>(options: ChildOptions<Out>): Child<In> {
  const root = process.getuid?.() === 0;
  const command = [process.execPath, "--no-env-file", options.program, ...(options.args ?? [])];
  if (options.unprivileged && root)
    command.unshift("setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all,+setuid,+setgid", "--");
  if (options.privateNetwork) command.unshift("unshare", "--net", "--");
  const { keepsMemory, hot } = options;
  const keeps =
    keepsMemory === undefined ? {} : { MIMALLOC_PURGE_DELAY: String(keepsMemory), MIMALLOC_PURGE_HOLES: "0" };
  const env: Record<string, string | undefined> = { ...keeps, ...process.env };
  if (hot) delete env[HELD_BACK];
  const { promise: exited, resolve: ended } = Promise.withResolvers<number>();
  const child = Bun.spawn(command, {
    env,
    stdio: ["ignore", options.talksAside ? 2 : "inherit", "inherit", ...(options.fds ?? [])],
    serialization: "json",
    ipc: (message) => options.onMessage(message as Out),
    onExit(_child, code, signal) {
      ended(exitCode(code, signal));
      options.onExit(code, signal === null ? null : String(signal));
    },
  });
  return {
    pid: child.pid,
    send(message) {
      try {
        child.send(message);
      } catch {
        // The child has just died; onExit tells.
      }
    },
    kill: (signal = "SIGTERM") => child.kill(signal),
    exited,
  };
}
