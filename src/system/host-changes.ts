import { existsSync } from "node:fs";
import { join } from "node:path";
import type { HostChange } from "../core/host-change.ts";
import { hostChangeText } from "../core/host-change.ts";
import type { Problem, Result } from "../core/problem.ts";
import { SluiceError } from "../core/problem.ts";
import { announceChange, kindOf } from "./change-kinds.ts";
import { Journal, type JournalEntry, withJournalLock } from "./journal.ts";

/** Applies and undoes changes to the host through one journal. */
export interface HostChanges {
  /**
   * Makes the host be as asked, in order. What already was so is not ours and is not journaled. `owner` is who needs
   * it (a method's or a command's name): the same owner asking again counts once. Throws SluiceError with the first
   * thing that failed; what was done before it stays, journaled.
   */
  change(changes: readonly HostChange[], owner: string): Promise<void>;
  /** Gives up `owner`'s need of these, in reverse order; what nobody needs any more is undone. Throws SluiceError. */
  undo(changes: readonly HostChange[], owner: string): Promise<void>;
  /** Undoes everything, newest first; goes on over failures and returns them. */
  undoAll(): Promise<Problem[]>;
  /**
   * Undoes what an earlier process of the instance had journaled and nobody has asked for since `createHostChanges`:
   * to be called once the first revision runs. Returns what could not be undone.
   */
  sweep(): Promise<Problem[]>;
  /** What is ours now, oldest first. */
  applied(): readonly JournalEntry[];
  /** Small facts kept beside the changes; null forgets. */
  note<T>(name: string): T | null;
  setNote(name: string, value: unknown): Promise<void>;
}

const same = (a: HostChange, b: HostChange): boolean => JSON.stringify(plain(a)) === JSON.stringify(plain(b));

/** `announce` says how, not what; the order of keys says nothing. */
function plain(change: HostChange): unknown {
  return Object.entries(change)
    .filter(([key, value]) => key !== "announce" && value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

const subjectOf = (change: HostChange): string => kindOf(change).subject(change);

const must = <T>(result: Result<T>): T => {
  if (!result.ok) throw new SluiceError(result.problems[0]!);
  return result.value;
};

async function makeOne(journal: Journal, change: HostChange, owner: string): Promise<void> {
  const kind = kindOf(change);
  const ours = journal.entries.find((entry) => same(entry.change, change));
  const { there, before } = must(await kind.look(change));
  if (ours) {
    if (!ours.owners.includes(owner)) {
      ours.owners.push(owner);
      journal.save();
    }
    // Ours, but somebody took it away, or we died between writing it down and doing it.
    if (!there) must(await kind.make(change, ours.before));
  } else if (!there) {
    journal.add({ change, before, owners: [owner] });
    must(await kind.make(change, before));
  }
  await announceChange(change);
}

async function undoEntry(journal: Journal, entry: JournalEntry): Promise<Result<unknown>> {
  // A later change of the same thing stands on this one: it inherits what was there before.
  const subject = subjectOf(entry.change);
  const at = journal.entries.indexOf(entry);
  const later = journal.entries.slice(at + 1).find((other) => subjectOf(other.change) === subject);
  if (later) {
    later.before = entry.before;
    journal.remove(entry);
    return { ok: true, value: null };
  }
  const done = await kindOf(entry.change).undo(entry.change, entry.before);
  if (done.ok) journal.remove(entry);
  return done;
}

/** The changes of the instance whose folder is `runDir` (`journal.json` in it). Makes nothing yet. */
export function createHostChanges(runDir: string): HostChanges {
  const path = join(runDir, "journal.json");
  const journal = new Journal(path);
  // In one process the calls queue up here: flock(2) alone would let a blocked thread wait for itself.
  let queue: Promise<unknown> = Promise.resolve();
  const locked = <T>(work: () => Promise<T>): Promise<T> => {
    const next = queue.then(() =>
      withJournalLock(path, () => {
        journal.reload();
        return work();
      }),
    );
    queue = next.catch(() => {});
    return next;
  };
  const asked: HostChange[] = [];
  return {
    change: (changes, owner) =>
      locked(async () => {
        asked.push(...changes);
        for (const change of changes) await makeOne(journal, change, owner);
      }),
    sweep: () => locked(() => undoEntries(journal, (entry) => !asked.some((change) => same(change, entry.change)))),
    undo: (changes, owner) =>
      locked(async () => {
        for (const change of changes.toReversed()) {
          const entry = journal.entries.find((e) => same(e.change, change) && e.owners.includes(owner));
          if (!entry) continue;
          entry.owners = entry.owners.filter((other) => other !== owner);
          if (entry.owners.length > 0) journal.save();
          else must(await undoEntry(journal, entry));
        }
      }),
    undoAll: () => locked(() => undoEntries(journal)),
    applied: () => journal.entries,
    note: (name) => journal.note(name),
    setNote: (name, value) => locked(async () => journal.setNote(name, value)),
  };
}

async function undoEntries(journal: Journal, stale = (_entry: JournalEntry) => true): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const entry of journal.entries.filter(stale).reverse()) {
    const done = await undoEntry(journal, entry);
    if (done.ok) continue;
    const [first] = done.problems;
    problems.push({ ...first!, message: `not undone: ${hostChangeText(entry.change)}: ${first!.message}` });
  }
  return problems;
}

/**
 * Undoes all that an instance has changed, from its journal alone: no daemon is needed. Returns what could not be
 * undone; that stays in the journal.
 */
export async function undoAll(runDir: string): Promise<Problem[]> {
  return existsSync(join(runDir, "journal.json")) ? createHostChanges(runDir).undoAll() : [];
}
