import type { z } from "zod";

/**
 * What a scheduler can be asked for. `pick`: one backend per request or connection. `order`: a ranked list (DNS
 * answers). `slots`: a table that the kernel indexes by a flow's hash. `kernel`: the algorithm itself runs in BPF.
 */
export type Face = "pick" | "order" | "slots" | "kernel";

/** What a scheduler sees: only those that may get new work. Health never reaches it by another way. */
export interface EligibleSet {
  /** Backend ids, ascending. A scheduler speaks in indices into this list. */
  readonly ids: readonly number[];
  /** Stable text per backend (address and port): consistent hashing hangs on it, not on the id. */
  readonly names: readonly string[];
  /** Integers >= 1, one per id. */
  readonly weights: readonly number[];
}

/** Indices already tried for this request; a retry must not pick them again while others are left. */
export interface Tried {
  has(index: number): boolean;
  readonly size: number;
}
export const nothingTried: Tried = { has: () => false, size: 0 };

/** What came of a unit of work. */
export type Outcome = "done" | "failed" | "aborted";

/** What a scheduler may ask of the world; tests give a fixed one. */
export interface SchedulerEnv {
  /** 0 <= r < 1. */
  random(): number;
  /** Monotonic ms. */
  now(): number;
  /** Units of work under way at this index, over all workers; or the reported load. */
  load(index: number): number;
  /** Secret of the revision, u32: clients must not be able to choose their slot. Equal on directors that must agree. */
  readonly seed: number;
}

/** A live scheduler over one eligible set. */
export interface Scheduler {
  /** Index, or -1 for an empty set (or when all were tried). `key` is a u32 hash of what the service hashes. Allocates nothing. */
  pick(key: number, tried: Tried): number;
  /** Fills `out` with indices, best first; returns how many. Face `order`. */
  order?(key: number, out: Uint16Array): number;
  /** Fills every element with an index; leaves `out` alone for an empty set. Face `slots`. */
  slots?(out: Uint16Array): void;
  /** Fills `out` with one round of turns, walked over and over; returns its length. At most `out.length` backends. Face `kernel`. */
  turns?(out: Uint16Array): number;
  began?(index: number): void;
  ended?(index: number, outcome: Outcome): void;
  /** Remembers where its turns stand. Of those that hang on nothing but their own turns, with `returned`. */
  mark?(): void;
  /** Do they stand there again, so that what came since `mark` comes again? */
  returned?(): boolean;
}

/** One algorithm, several faces. */
export interface SchedulerDefinition<O = unknown> {
  readonly name: string;
  /** One sentence for help, docs and completion. */
  readonly summary: string;
  readonly options: z.ZodType<O>;
  readonly faces: readonly Face[];
  /** `key`: hashes the request's key. `load`: reads the load of backends, its own count or the reported one. */
  readonly needs: { key?: true; load?: "own" | "reported" };
  /** Face `kernel`: which of the data plane's ways to choose this is (`sluice_choice` of its limits). */
  readonly kernelId?: number;
  /** What a kernel method hashes for this scheduler's slots. Default `flow` (the 5-tuple). */
  readonly slotKey?: "flow" | "source";
  /** `previous` is the scheduler this one replaces: carries cursors over a change of the set. */
  create(set: EligibleSet, options: O, env: SchedulerEnv, previous?: Scheduler): Scheduler;
}

/** Checks a definition's shape at compile time and gives it its type. */
export const defineScheduler = <O>(definition: SchedulerDefinition<O>): SchedulerDefinition<O> => definition;
