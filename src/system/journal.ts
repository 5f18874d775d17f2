import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import type { HostChange } from "../core/host-change.ts";
import { SluiceError } from "../core/problem.ts";
import { libc } from "../runtime/libc.ts";

/** One change that is ours: what it is, what was there before, and who asked for it. */
export interface JournalEntry {
  change: HostChange;
  /** What undoing puts back; its shape is the change kind's own. Null: nothing was there. */
  before: unknown;
  /** Who needs it. It is undone when the last one no longer does. */
  owners: string[];
}

interface JournalFile {
  version: 1;
  entries: JournalEntry[];
  /** Small facts beside the changes, such as what `realserver up` was asked for. */
  notes: Record<string, unknown>;
}

/** <sys/file.h> */
const LOCK_EX = 2;

/**
 * The list of what an instance has changed on the host, in the order in which it did. It is on the disk before the
 * change is made, so that after a crash at any moment everything can be undone without the daemon.
 */
export class Journal {
  readonly path: string;
  private file: JournalFile;

  constructor(path: string) {
    this.path = path;
    this.file = read(path);
  }

  get entries(): readonly JournalEntry[] {
    return this.file.entries;
  }

  note<T>(name: string): T | null {
    return (this.file.notes[name] as T | undefined) ?? null;
  }

  /** Remembers or, with null, forgets a fact. */
  setNote(name: string, value: unknown): void {
    if (value === null) {
      delete this.file.notes[name];
      this.shrink();
      return;
    }
    this.file.notes[name] = value;
    this.write();
  }

  add(entries: readonly JournalEntry[]): void {
    this.file.entries.push(...entries);
    this.write();
  }

  /** Writes what was altered in an entry of `entries`. */
  save(): void {
    this.write();
  }

  remove(entries: ReadonlySet<JournalEntry>): void {
    this.file.entries = this.file.entries.filter((entry) => !entries.has(entry));
    this.shrink();
  }

  /** Reads the file again: another process may have written since. */
  reload(): void {
    this.file = read(this.path);
  }

  /**
   * Writes it with less in it than before; one that names nothing need not be there. Where the disk takes nothing, undoing
   * goes on all the same: what the file then still names is undone once more by whoever reads it, which does nothing.
   */
  private shrink(): void {
    const { entries, notes } = this.file;
    try {
      if (entries.length > 0 || Object.keys(notes).length > 0) this.write();
      else rmSync(this.path, { force: true });
    } catch {}
  }

  private write(): void {
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o755 });
    const fresh = `${this.path}.new`;
    const fd = openSync(fresh, "w", 0o600);
    try {
      // All of it, or it throws: a full disk takes a part of one write.
      writeFileSync(fd, `${JSON.stringify(this.file, null, 1)}\n`);
      fsyncSync(fd);
    } catch (error) {
      rmSync(fresh);
      throw error;
    } finally {
      closeSync(fd);
    }
    renameSync(fresh, this.path);
  }
}

function read(path: string): JournalFile {
  if (!existsSync(path)) return { version: 1, entries: [], notes: {} };
  const unreadable = (message: string): SluiceError =>
    new SluiceError({
      code: "SLUICE_INTERNAL",
      severity: "error",
      source: "internal",
      path: [],
      message: `${path} cannot be read: ${message}`,
      hint: "Undo by hand what it tells of this host, then remove it.",
    });
  let file: JournalFile;
  try {
    file = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw unreadable((error as Error).message);
  }
  if (file?.version !== 1) throw unreadable(`it is of version ${file?.version}, and this program knows 1`);
  return file;
}

/**
 * Keeps other processes from the journal while `work` runs (flock(2) on a file beside it). Held for the time of a
 * few system commands.
 */
export async function withJournalLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  const fd = openLock(`${path}.lock`);
  while (libc.flock(fd, LOCK_EX) !== 0) {
    // Only a signal ends the wait without the lock.
  }
  try {
    return await work();
  } finally {
    closeSync(fd);
  }
}

/** On a disk that is read-only by now the lock is there, and may be held as well. */
function openLock(path: string): number {
  try {
    return openSync(path, "a", 0o600);
  } catch (error) {
    if (existsSync(path)) return openSync(path, "r");
    throw error;
  }
}
