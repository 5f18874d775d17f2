import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { StartConfig } from "../core/service.ts";
import { type Instance, readState, STATE_FILE, writeState } from "../system/instance.ts";
import type { IdBook } from "./ids.ts";
import type { FoundBook } from "./last-known.ts";
import type { WordBook } from "./words.ts";

/** What an instance remembers over a restart. The seed is secret. */
export interface Remembered {
  revision: number;
  seed: number;
  /** When revisions began to be counted, s since 1970. */
  epoch: number;
  ids: IdBook;
  /** What checks had found when it was written down. */
  found: FoundBook;
  /** What operators have said. */
  words: WordBook;
  /** When it was written down, ms since 1970. */
  at: number;
}

const word = z.object({ is: z.union([z.string(), z.number()]), until: z.number().nullable() });
const remembered = z.object({
  revision: z.int().min(0),
  seed: z.int(),
  epoch: z.int().min(0).default(0),
  ids: z.record(z.string(), z.object({ ids: z.record(z.string(), z.int()), last: z.int() })),
  // Absent in what an older daemon has written.
  found: z
    .record(z.string(), z.object({ check: z.int(), alive: z.array(z.string()), dead: z.array(z.string()) }))
    .default({}),
  words: z
    .record(
      z.string(),
      z.record(
        z.string(),
        z.object({
          admin: word.optional(),
          weight: word.optional(),
          written: z.object({ admin: z.string(), weight: z.number() }),
        }),
      ),
    )
    .default({}),
  at: z.number().default(0),
});

/** ms after a change of health until it is written down: many come together. */
const SOON = 50;
/** Writing down takes at most this part of the time: a large book must not eat the time of verdicts. */
const SHARE = 20;
/** A state that is to be trusted for a time is written down in each quarter of it, though nothing changes; ms at least. */
const QUARTERS = 4;
const LEAST_TURN = 1000;

/** What happens to what is written down. */
export interface NotesEvents {
  /** There is something, and it is of no use. */
  unreadable(): void;
  /** The disk refused; the next change is a new try. */
  unwritten(why: unknown): void;
}

/** Writes down what the next daemon of the instance is to know, and reads what the last one has left. */
export class Notes {
  readonly kept: Remembered;
  readonly #instance: Instance;
  readonly #collect: () => Pick<Remembered, "found" | "words">;
  readonly #events: NotesEvents;
  #soon: Timer | null = null;
  #turn: Timer | null = null;
  #cost = 0;

  /** `collect`: what is known at this moment. */
  constructor(instance: Instance, collect: () => Pick<Remembered, "found" | "words">, events: NotesEvents) {
    this.#events = events;
    this.#instance = instance;
    this.#collect = collect;
    const read = remembered.safeParse(readState(instance, STATE_FILE));
    if (!read.success && existsSync(join(instance.runDir, STATE_FILE))) events.unreadable();
    const fresh = {
      revision: 0,
      seed: newSeed(),
      epoch: Math.floor(Date.now() / 1000),
      ids: {},
      found: {},
      words: {},
      at: 0,
    };
    this.kept = read.success ? (read.data as Remembered) : fresh;
  }

  /** May services be served by what was found, without waiting for checks? `now`: ms since 1970. */
  trusted(start: StartConfig | undefined, now: number): boolean {
    const age = now - this.kept.at;
    return start !== undefined && age >= 0 && age <= start.remembered;
  }

  /** Something has changed. */
  soon(): void {
    this.#soon ??= setTimeout(() => this.write(), Math.max(SOON, this.#cost * SHARE));
  }

  /** Never throws: a full disk must not end the daemon, nor leave a revision half in force. */
  write(): void {
    if (this.#soon) clearTimeout(this.#soon);
    this.#soon = null;
    const begun = performance.now();
    Object.assign(this.kept, this.#collect(), { at: Date.now() });
    try {
      writeState(this.#instance, STATE_FILE, this.kept, 0o600);
    } catch (error) {
      this.#events.unwritten(error);
    }
    this.#cost = performance.now() - begun;
  }

  /** Keeps what is written down young enough to be trusted. */
  follow(start: StartConfig | undefined): void {
    if (this.#turn) clearInterval(this.#turn);
    this.#turn = null;
    if (start === undefined) return;
    const turn = Math.max(LEAST_TURN, start.remembered / QUARTERS, this.#cost * SHARE);
    this.#turn = setInterval(() => this.write(), turn);
    this.#turn.unref?.();
  }

  /** Writes down what is not yet, for the last time. */
  stop(): void {
    if (this.#soon || this.#turn) this.write();
    if (this.#turn) clearInterval(this.#turn);
    this.#turn = null;
  }
}

const newSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0]!;
