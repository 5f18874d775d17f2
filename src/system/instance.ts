import {
  closeSync,
  existsSync,
  fchmodSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { hashText } from "../core/hash.ts";
import { ok, type Problem, type Result, refuse } from "../core/problem.ts";
import { libc } from "../runtime/libc.ts";

/** The folders and files that one instance of the daemon owns. Two instances never share any. */
export interface Instance {
  name: string;
  /** `/run/sluice/NAME`; without root `$XDG_RUNTIME_DIR/sluice/NAME`. */
  runDir: string;
  /** `/sys/fs/bpf/sluice/NAME` */
  bpfDir: string;
  adminSocket: string;
  lockFile: string;
  /** The data plane's journal of host changes. */
  journal: string;
}

const ROOTS = "/run/sluice";

const root = (): string =>
  process.getuid?.() === 0
    ? ROOTS
    : join(process.env.XDG_RUNTIME_DIR ?? `/tmp/sluice-${process.getuid?.() ?? 0}`, "sluice");

/** Names what an instance owns; makes nothing. `name` is checked by the caller: `[a-z0-9][a-z0-9-]*`. */
export function instancePaths(name: string): Instance {
  const runDir = join(root(), name);
  return {
    name,
    runDir,
    bpfDir: `/sys/fs/bpf/sluice/${name}`,
    adminSocket: join(runDir, "admin.sock"),
    lockFile: join(runDir, "lock"),
    journal: join(runDir, "journal.json"),
  };
}

/** Name of the memory that the processes of an instance share: no other instance of this host has it. */
export const memoryName = ({ name, runDir }: Pick<Instance, "name" | "runDir">): string =>
  `sluice-${name}-${hashText(runDir, 0).toString(16)}`;

/** Where the admin socket of root's instance of this name is. */
export const adminSocketOfRoot = (name: string): string => join(ROOTS, name, "admin.sock");

const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Why this process may not have the instance: in a folder that everybody may write to, somebody else may have made ours
 * first, with links in it that lead elsewhere. Makes the folder where there is none.
 */
export function foreign({ name, runDir }: Instance): Problem | null {
  const base = dirname(dirname(runDir));
  const hint =
    process.getuid?.() === 0
      ? `Its files are in ${runDir}: that must be a folder that can be written to.`
      : "Without root its files are below XDG_RUNTIME_DIR: set it to a folder of your own.";
  const denied = (why: string): Problem => ({
    code: "SLUICE_PRIVILEGE",
    severity: "error",
    source: "internal",
    path: [],
    message: `instance "${name}" cannot be had: ${why}`,
    hint,
  });
  try {
    mkdirSync(base, { recursive: true, mode: 0o700 });
    const { uid } = lstatSync(base);
    return uid === 0 || uid === process.getuid?.() ? null : denied(`${base} belongs to user ${uid}`);
  } catch (error) {
    return denied((error as Error).message);
  }
}

/**
 * Takes the instance for this process, for as long as it lives (flock(2) on a file that names the pid).
 * Errors: SLUICE_INSTANCE_BUSY with the holder's pid, SLUICE_PRIVILEGE.
 */
export function takeInstance(instance: Instance): Result<{ release(): void }> {
  const denied = foreign(instance);
  if (denied) return refuse(denied);
  mkdirSync(instance.runDir, { recursive: true, mode: 0o755 });
  const fd = openSync(instance.lockFile, "a+", 0o600);
  // Whoever may read it may hold it, and so keep every daemon out; one of an older version was for all to read.
  fchmodSync(fd, 0o600);
  if (libc.flock(fd, LOCK_EX | LOCK_NB) !== 0) {
    const holder = readFileSync(instance.lockFile, "utf8").trim();
    closeSync(fd);
    return refuse({
      code: "SLUICE_INSTANCE_BUSY",
      severity: "error",
      source: "internal",
      path: [],
      message: `instance "${instance.name}" is run by process ${holder || "(unknown)"}`,
      hint: `Change it with sluice reload, stop it with kill ${holder || "PID"}, or use another --instance.`,
    });
  }
  writeFileSync(instance.lockFile, `${process.pid}\n`);
  return ok({ release: () => closeSync(fd) });
}

/** Is a daemon of this instance alive? Looks at the lock, not at the pid. */
export function instanceHeld(instance: Instance): boolean {
  if (!existsSync(instance.lockFile)) return false;
  const fd = openSync(instance.lockFile, "r");
  const held = libc.flock(fd, LOCK_EX | LOCK_NB) !== 0;
  closeSync(fd);
  return held;
}

/** Reads a JSON file of the instance; null when it is absent or torn. */
export function readState<T>(instance: Instance, name: string): T | null {
  try {
    return JSON.parse(readFileSync(join(instance.runDir, name), "utf8")) as T;
  } catch {
    return null;
  }
}

/** Replaces a JSON file of the instance whole (write beside it, rename). */
export function writeState(instance: Instance, name: string, value: unknown, mode = 0o644): void {
  const path = join(instance.runDir, name);
  writeFileSync(`${path}.new`, JSON.stringify(value), { mode });
  renameSync(`${path}.new`, path);
}

/** What a daemon leaves to the next one of its instance. */
export const STATE_FILE = "state.json";

/** Removes the instance's folder, but for one file. Callers have undone what its files remember. */
export function removeInstance({ runDir }: Instance, except?: string): void {
  if (except === undefined) rmSync(runDir, { recursive: true, force: true });
  else for (const file of readdirSync(runDir)) if (file !== except) rmSync(join(runDir, file), { recursive: true });
}
