import { Slot } from "./generated/layout.ts";

/**
 * The slots of one service as the supervisor moves them. Only it moves phases; the program reads. The rules are those
 * of docs: a slot's base is where a packet without an entry belongs, and a base stays while its window is open.
 */
export interface Slots {
  /** `current:14 | base:14 << 14 | phase:2 << 28`, as in the kernel's table. */
  readonly words: Uint32Array;
  /** When each window was opened, monotonic ms, taken after the barrier; NaN until `stamp`. */
  readonly opened: Float64Array;
  /** When each slot became sparse, likewise. */
  readonly closed: Float64Array;
}

export const NONE = Slot.SLOT_NONE;
export const SETTLED = Slot.PHASE_SETTLED;
export const WINDOW = Slot.PHASE_WINDOW;
export const SPARSE = Slot.PHASE_SPARSE;

export const currentOf = (word: number): number => word & Slot.SLOT_MASK;
export const baseOf = (word: number): number => (word >>> Slot.SLOT_BITS) & Slot.SLOT_MASK;
export const phaseOf = (word: number): number => word >>> Slot.PHASE_SHIFT;
export const toWord = (current: number, base: number, phase: number): number =>
  (current | (base << Slot.SLOT_BITS) | (phase << Slot.PHASE_SHIFT)) >>> 0;

/** All settled on `NONE`. */
export function createSlots(count: number): Slots {
  return {
    words: new Uint32Array(count).fill(toWord(NONE, NONE, SETTLED)),
    opened: new Float64Array(count),
    closed: new Float64Array(count),
  };
}

/** First assignment of a service that nobody has used yet: nothing to remember. */
export function assign(slots: Slots, next: Uint16Array): void {
  for (let i = 0; i < next.length; i++) slots.words[i] = toWord(next[i]!, next[i]!, SETTLED);
}

/**
 * Gives every slot its new backend. A slot that changes opens a window, unless one with another base is open already:
 * then base and opening time stay. Returns how many slots changed.
 */
export function change(slots: Slots, next: Uint16Array): number {
  let changed = 0;
  for (let i = 0; i < next.length; i++) {
    const word = slots.words[i]!;
    const current = currentOf(word);
    if (current === next[i]) continue;
    changed++;
    if (current === NONE && phaseOf(word) === SETTLED) {
      // Nothing has gone through this slot since it settled on nobody: there is nothing to remember.
      slots.words[i] = toWord(next[i]!, next[i]!, SETTLED);
      continue;
    }
    const open = phaseOf(word) === WINDOW && current !== baseOf(word);
    if (open) {
      slots.words[i] = toWord(next[i]!, baseOf(word), WINDOW);
    } else {
      slots.words[i] = toWord(next[i]!, current, WINDOW);
      slots.opened[i] = Number.NaN;
    }
  }
  return changed;
}

/** Backends forced out: what belonged to them without an entry goes to current, and the slot only keeps its entries. */
export function forceOut(slots: Slots, gone: ReadonlySet<number>): number {
  let moved = 0;
  if (gone.size === 0) return moved;
  for (let i = 0; i < slots.words.length; i++) {
    const word = slots.words[i]!;
    if (phaseOf(word) === SETTLED || !gone.has(baseOf(word)) || baseOf(word) === currentOf(word)) continue;
    slots.words[i] = toWord(currentOf(word), currentOf(word), SPARSE);
    slots.closed[i] = Number.NaN;
    moved++;
  }
  return moved;
}

/** Puts the time of the barrier on what has moved since the last one. */
export function stamp(slots: Slots, now: number): void {
  for (let i = 0; i < slots.words.length; i++) {
    if (Number.isNaN(slots.opened[i])) slots.opened[i] = now;
    if (Number.isNaN(slots.closed[i])) slots.closed[i] = now;
  }
}

/** Window -> sparse, once no flow of before can be silent and unrecorded any more: `idle` after opening and after the last full bucket. */
export function closeWindows(slots: Slots, now: number, idle: number, lastFull: number): number {
  let moved = 0;
  for (let i = 0; i < slots.words.length; i++) {
    const word = slots.words[i]!;
    if (phaseOf(word) !== WINDOW || !(now > slots.opened[i]! + idle) || !(now > lastFull + idle)) continue;
    slots.words[i] = toWord(currentOf(word), baseOf(word), SPARSE);
    slots.closed[i] = Number.NaN;
    moved++;
  }
  return moved;
}

/** Sparse -> settled: a sweep begun at `sweep`, after the close's barrier, found no live entry of another backend. */
export function settle(slots: Slots, sweep: number, busy: (slot: number) => boolean): number {
  let moved = 0;
  for (let i = 0; i < slots.words.length; i++) {
    const word = slots.words[i]!;
    if (phaseOf(word) !== SPARSE || !(sweep > slots.closed[i]!) || busy(i)) continue;
    slots.words[i] = toWord(currentOf(word), currentOf(word), SETTLED);
    moved++;
  }
  return moved;
}

/** The words as a program that must always look for a flow's own cell reads them: a settled slot as a sparse one. */
export const consulted = (slots: Slots): Uint32Array =>
  slots.words.map((word) => (phaseOf(word) === SETTLED ? toWord(currentOf(word), baseOf(word), SPARSE) : word));

/** Every settled slot may have flows of other backends: sparse, until a sweep says that it has none. */
export function reopen(slots: Slots): void {
  for (let i = 0; i < slots.words.length; i++) {
    const word = slots.words[i]!;
    if (phaseOf(word) !== SETTLED) continue;
    slots.words[i] = toWord(currentOf(word), currentOf(word), SPARSE);
    slots.closed[i] = Number.NaN;
  }
}

/** How many slots a change has opened that have not settled yet. */
export function unsettled(slots: Slots): number {
  const { words } = slots;
  let open = 0;
  for (let i = 0; i < words.length; i++) if (phaseOf(words[i]!) !== SETTLED) open++;
  return open;
}

/** How many would be, once every slot had its backend of `next`. */
export function unsettledAfter(slots: Slots, next: Uint16Array): number {
  let count = 0;
  slots.words.forEach((word, i) => {
    if (phaseOf(word) !== SETTLED || currentOf(word) !== next[i]) count++;
  });
  return count;
}

/** Is this backend current or base of any slot? */
export function named(slots: Slots): Set<number> {
  const found = new Set<number>();
  for (const word of slots.words) {
    found.add(currentOf(word));
    found.add(baseOf(word));
  }
  return found;
}
