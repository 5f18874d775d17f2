import { existsSync } from "node:fs";
import { join } from "node:path";
import type { HostChange } from "../core/host-change.ts";
import { deviceOf, hostChangeText, onDevice } from "../core/host-change.ts";
import type { Problem, Result } from "../core/problem.ts";
import { SluiceError } from "../core/problem.ts";
import { announceChanges, kindOf } from "./change-kinds.ts";
import { Journal, type JournalEntry, withJournalLock } from "./journal.ts";
import { ifindexOf } from "./net.ts";

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

/** Equal texts: the same change. `announce` says how, not what; the order of keys says nothing. */
const textOf = (change: HostChange): string =>
  JSON.stringify(
    Object.entries(change)
      .filter(([key, value]) => key !== "announce" && value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

const subjectOf = (change: HostChange): string => kindOf(change).subject(change);

const must = <T>(result: Result<T>): T => {
  if (!result.ok) throw new SluiceError(result.problems[0]!);
  return result.value;
};

/** Neighbours in the list that are of one kind which takes many at once; others stand alone. */
function runsOf<T>(items: readonly T[], changeOf: (item: T) => HostChange): T[][] {
  const runs: T[][] = [];
  for (const item of items) {
    const run = runs.at(-1);
    const { kind } = changeOf(item);
    if (run && kindOf(changeOf(item)).together && changeOf(run[0]!).kind === kind) run.push(item);
    else runs.push([item]);
  }
  return runs;
}

/** Makes changes of one kind. All of them are in the journal before the first is made. */
async function makeRun(journal: Journal, asked: readonly HostChange[], owner: string): Promise<void> {
  const changes = [...new Map(asked.map((change) => [textOf(change), change])).values()];
  const kind = kindOf(changes[0]!);
  const ours = new Map(journal.entries.map((entry) => [textOf(entry.change), entry]));
  const looks = must(await kind.look(changes));
  const fresh: JournalEntry[] = [];
  const lacking: { change: HostChange; before: unknown }[] = [];
  let joined = false;
  for (const [i, change] of changes.entries()) {
    const { there, before } = looks[i]!;
    const entry = ours.get(textOf(change)) ?? (there ? renamed(journal, change) : undefined);
    if (entry && textOf(entry.change) !== textOf(change)) {
      entry.change = change;
      joined = true;
    }
    if (entry && !entry.owners.includes(owner)) {
      entry.owners.push(owner);
      joined = true;
    }
    if (there) continue;
    if (!entry) fresh.push({ change, before, owners: [owner] });
    // Ours, but somebody took it away, or we died between writing it down and doing it.
    lacking.push({ change, before: entry ? entry.before : before });
  }
  if (fresh.length > 0) journal.add(fresh);
  else if (joined) journal.save();
  if (lacking.length > 0) must(await kind.make(lacking));
  await announceChanges(changes);
}

/** What we have made on a device that has another name now stands there still, and is ours. */
function renamed(journal: Journal, change: HostChange): JournalEntry | undefined {
  const device = deviceOf(change);
  if (device === null) return undefined;
  return journal.entries.find((entry) => {
    const former = deviceOf(entry.change);
    if (former === null || former === device || ifindexOf(former) > 0) return false;
    return textOf(onDevice(entry.change, device)) === textOf(change);
  });
}

/** Undoes entries, in this order, and takes them out of the journal; what could not be undone stays in it. */
async function undoInOrder(journal: Journal, entries: readonly JournalEntry[]): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (const run of runsOf(entries, ({ change }) => change)) {
    const gone = new Set<JournalEntry>();
    const last: JournalEntry[] = [];
    const heirs = heirsOf(journal, run);
    for (const entry of run) {
      const heir = heirs.get(entry);
      if (heir) {
        heir.before = entry.before;
        gone.add(entry);
      } else last.push(entry);
    }
    const done = last.length > 0 ? await kindOf(last[0]!.change).undo(last) : [];
    for (const [i, entry] of last.entries()) {
      const result = done[i]!;
      if (result.ok) gone.add(entry);
      else failures.push({ entry, problem: result.problems[0]! });
    }
    if (gone.size > 0) journal.remove(gone);
  }
  return failures;
}

interface Failure {
  entry: JournalEntry;
  problem: Problem;
}

/** A later change of the same thing, not undone itself, stands on an earlier one: it inherits what was there before. */
function heirsOf(journal: Journal, entries: readonly JournalEntry[]): Map<JournalEntry, JournalEntry> {
  const bySubject = Map.groupBy(journal.entries, ({ change }) => subjectOf(change));
  const undone = new Set(entries);
  const heirs = new Map<JournalEntry, JournalEntry>();
  for (const entry of entries) {
    const same = bySubject.get(subjectOf(entry.change))!;
    const heir = same.slice(same.indexOf(entry) + 1).find((other) => !undone.has(other));
    if (heir) heirs.set(entry, heir);
  }
  return heirs;
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
  const asked = new Set<string>();
  return {
    change: (changes, owner) =>
      locked(async () => {
        for (const change of changes) asked.add(textOf(change));
        for (const run of runsOf(changes, (change) => change)) await makeRun(journal, run, owner);
      }),
    sweep: () => locked(() => undoEntries(journal, ({ change }) => !asked.has(textOf(change)))),
    undo: (changes, owner) =>
      locked(async () => {
        const unwanted = giveUp(journal, changes, owner);
        const [failure] = await undoInOrder(journal, unwanted);
        if (failure) throw new SluiceError(failure.problem);
      }),
    undoAll: () => locked(() => undoEntries(journal)),
    applied: () => journal.entries,
    note: (name) => journal.note(name),
    setNote: (name, value) => locked(async () => journal.setNote(name, value)),
  };
}

/** Takes `owner` off these changes; those that nobody needs any more, the last one first. */
function giveUp(journal: Journal, changes: readonly HostChange[], owner: string): JournalEntry[] {
  const ours = new Map(journal.entries.map((entry) => [textOf(entry.change), entry]));
  const held = changes.toReversed().flatMap((change) => ours.get(textOf(change)) ?? []);
  const given = [...new Set(held)].filter(({ owners }) => owners.includes(owner));
  const shared = given.filter(({ owners }) => owners.length > 1);
  for (const entry of shared) entry.owners = entry.owners.filter((other) => other !== owner);
  if (shared.length > 0) journal.save();
  return given.filter((entry) => !shared.includes(entry));
}

async function undoEntries(journal: Journal, stale = (_entry: JournalEntry) => true): Promise<Problem[]> {
  const failures = await undoInOrder(journal, journal.entries.filter(stale).reverse());
  return failures.map(({ entry: { change }, problem }) => ({
    ...problem,
    message: `not undone: ${hostChangeText(change)}: ${problem.message}`,
  }));
}

/**
 * Undoes all that an instance has changed, from its journal alone: no daemon is needed. Returns what could not be
 * undone; that stays in the journal.
 */
export async function undoAll(runDir: string): Promise<Problem[]> {
  return existsSync(join(runDir, "journal.json")) ? createHostChanges(runDir).undoAll() : [];
}
