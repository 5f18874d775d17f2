import { z } from "zod";
import { defineScheduler, type EligibleSet, type Scheduler, type Tried } from "../core/scheduler.ts";
import { fillMaglev, isPrime } from "./maglev-table.ts";

/** 2^14 - 3: a prime, as the paper asks, and 64 KiB of slots in the kernel, of which packets read 16. */
const DEFAULT_SLOTS = 16_381;

export const maglevOptions = z.strictObject({
  /** Slots of the table: a prime. More slots: finer shares, less moved by a change, more memory and time to build. */
  slots: z
    .int()
    .min(251)
    .max(1_048_573)
    .refine(isPrime, "must be a prime, for example 1021, 4093, 16381 or 65537")
    .default(DEFAULT_SLOTS),
});
export type MaglevOptions = z.infer<typeof maglevOptions>;

/** Which slot a u32 key falls into. */
export const slotOf = (key: number, slots: number): number => (key >>> 0) % slots;

/** A consistent hash: a change of the set moves the slots of who left, and few others. */
export class Maglev implements Scheduler {
  readonly #set: EligibleSet;
  readonly #seed: number;
  readonly #slots: number;
  #table: Uint16Array | null = null;
  readonly #seen: Uint8Array;

  constructor(set: EligibleSet, options: MaglevOptions, seed: number) {
    this.#set = set;
    this.#seed = seed;
    this.#slots = options.slots;
    this.#seen = new Uint8Array(set.ids.length);
  }

  pick(key: number, tried: Tried): number {
    const size = this.#set.ids.length;
    if (size === 0) return -1;
    const table = this.#built();
    let slot = slotOf(key, table.length);
    for (let step = 0; step < table.length; step++) {
      const index = table[slot]!;
      if (tried.size === 0 || !tried.has(index)) return index;
      if (++slot === table.length) slot = 0;
    }
    // More backends than slots: those without a slot are the last resort.
    for (let index = 0; index < size; index++) if (!tried.has(index)) return index;
    return -1;
  }

  /** The key's own backend, then the others as the table goes on from there: the way a retry would go. */
  order(key: number, out: Uint16Array): number {
    const size = this.#set.ids.length;
    const wanted = Math.min(out.length, size);
    if (wanted === 0) return 0;
    const table = this.#built();
    this.#seen.fill(0);
    let count = 0;
    let slot = slotOf(key, table.length);
    for (let step = 0; step < table.length && count < wanted; step++) {
      const index = table[slot]!;
      if (this.#seen[index] === 0) {
        this.#seen[index] = 1;
        out[count++] = index;
      }
      if (++slot === table.length) slot = 0;
    }
    for (let index = 0; index < size && count < wanted; index++) if (this.#seen[index] === 0) out[count++] = index;
    return count;
  }

  /** A table of the length of `out`, whatever the option says. */
  slots(out: Uint16Array): void {
    if (this.#set.ids.length === 0) return;
    if (out.length === this.#slots) out.set(this.#built());
    else fillMaglev(out, this.#set.names, this.#set.weights, this.#seed);
  }

  /** Built when first needed: who only asks for `slots` of another length does not pay for this one. */
  #built(): Uint16Array {
    if (this.#table === null) {
      this.#table = new Uint16Array(this.#slots);
      fillMaglev(this.#table, this.#set.names, this.#set.weights, this.#seed);
    }
    return this.#table;
  }
}

export default defineScheduler({
  name: "maglev",
  summary: "A consistent hash of the flow (or of the request's key) by weight: few move when the set changes.",
  options: maglevOptions,
  faces: ["pick", "order", "slots"],
  needs: { key: true },
  create: (set, options, env) => new Maglev(set, options, env.seed),
});
