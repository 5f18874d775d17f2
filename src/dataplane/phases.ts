import { Slot } from "./generated/layout.ts";

/**
 * The slots of one service as the supervisor moves them. Only it moves phases; the program reads. The rules are those
 * of docs: a slot's base is where a packet without an entry belongs, and a base stays while its window is open.
 */
export interface Slots {
  /** `current:12 | base:12 << 12 | phase << 24`, which the kernel's table keeps in two parts. */
  readonly words: Uint32Array;
  /** When a window was opened or a sparse slot closed, monotonic ms, taken after the barrier; `UNSTAMPED` until `stamp`. */
  readonly since: Uint32Array;
  /** How many a change has opened that have not settled yet. */
  open: number;
  /** Some wait for a `stamp`. */
  unstamped: boolean;
}

export const NONE = Slot.SLOT_NONE;
export const SETTLED = Slot.PHASE_SETTLED;
export const WINDOW = Slot.PHASE_WINDOW;
export const SPARSE = Slot.PHASE_SPARSE;

const UNSTAMPED = 0xffff_ffff;

export const currentOf = (word: number): number => word & Slot.SLOT_MASK;
export const baseOf = (word: number): number => (word >>> Slot.SLOT_BITS) & Slot.SLOT_MASK;
export const phaseOf = (word: number): number => word >>> Slot.PHASE_SHIFT;
const toWord = (current: number, base: number, phase: number): number =>
  (current | (base << Slot.SLOT_BITS) | (phase << Slot.PHASE_SHIFT)) >>> 0;

/** Later than it was by less than 1 ms, modulo 2^32; never `UNSTAMPED`. */
const toStamp = (ms: number): number => {
  const stamp = Math.ceil(ms) >>> 0;
  return stamp === UNSTAMPED ? 0 : stamp;
};
/** ms between a stamp and `now`, negative when it is to come. After 24 days a stamp is to come again: nothing ends early. */
const passed = (stamp: number, now: number): number => (Math.floor(now) - stamp) | 0;

/** All settled on `NONE`. */
export function createSlots(count: number): Slots {
  return {
    words: new Uint32Array(count).fill(toWord(NONE, NONE, SETTLED)),
    since: new Uint32Array(count),
    open: 0,
    unstamped: false,
  };
}

/** Takes over words that an earlier supervisor left: what is open was opened, or closed, now. */
export function adopt(slots: Slots, words: Uint32Array, now: number): void {
  slots.words.set(words);
  slots.since.fill(toStamp(now));
  slots.open = slots.words.reduce((open, word) => open + Number(phaseOf(word) !== SETTLED), 0);
}

/** First assignment of a service that nobody has used yet: nothing to remember. */
export function assign(slots: Slots, next: Uint16Array): void {
  const { words } = slots;
  for (let i = 0; i < next.length; i++) words[i] = toWord(next[i]!, next[i]!, SETTLED);
  slots.open = 0;
}

function move(slots: Slots, i: number, word: number): void {
  slots.words[i] = word;
  slots.since[i] = UNSTAMPED;
  slots.unstamped = true;
}

/**
 * Gives every slot its new backend. A slot that changes opens a window, unless one with another base is open already:
 * then base and opening time stay. Returns how many slots changed.
 */
export function change(slots: Slots, next: Uint16Array): number {
  const { words } = slots;
  let changed = 0;
  for (let i = 0; i < next.length; i++) {
    const word = words[i]!;
    const current = currentOf(word);
    if (current === next[i]) continue;
    changed++;
    const phase = phaseOf(word);
    // Nothing has gone through a slot since it settled on nobody: there is nothing to remember.
    if (current === NONE && phase === SETTLED) words[i] = toWord(next[i]!, next[i]!, SETTLED);
    else if (phase === WINDOW && current !== baseOf(word)) words[i] = toWord(next[i]!, baseOf(word), WINDOW);
    else {
      if (phase === SETTLED) slots.open++;
      move(slots, i, toWord(next[i]!, current, WINDOW));
    }
  }
  return changed;
}

/** Backends forced out: what belonged to them without an entry goes to current, and the slot only keeps its entries. */
export function forceOut(slots: Slots, gone: ReadonlySet<number>): number {
  let moved = 0;
  if (gone.size === 0 || slots.open === 0) return moved;
  const { words } = slots;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (phaseOf(word) === SETTLED || baseOf(word) === currentOf(word) || !gone.has(baseOf(word))) continue;
    move(slots, i, toWord(currentOf(word), currentOf(word), SPARSE));
    moved++;
  }
  return moved;
}

/** Puts the time of the barrier on what has moved since the last one. */
export function stamp(slots: Slots, now: number): void {
  if (!slots.unstamped) return;
  const { since } = slots;
  const at = toStamp(now);
  for (let i = 0; i < since.length; i++) if (since[i] === UNSTAMPED) since[i] = at;
  slots.unstamped = false;
}

/** Window -> sparse, once no flow of before can be silent and unrecorded any more: `idle` after opening and after the last full bucket. */
export function closeWindows(slots: Slots, now: number, idle: number, lastFull: number): number {
  let moved = 0;
  if (slots.open === 0 || !(now > lastFull + idle)) return moved;
  const { words, since } = slots;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (phaseOf(word) !== WINDOW || since[i] === UNSTAMPED || passed(since[i]!, now) <= idle) continue;
    move(slots, i, toWord(currentOf(word), baseOf(word), SPARSE));
    moved++;
  }
  return moved;
}

/** Sparse -> settled: a sweep begun at `sweep`, after the close's barrier, found no live entry of another backend. */
export function settle(slots: Slots, sweep: number, busy: (slot: number) => boolean): number {
  let moved = 0;
  if (slots.open === 0) return moved;
  const { words, since } = slots;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (phaseOf(word) !== SPARSE || since[i] === UNSTAMPED || passed(since[i]!, sweep) <= 0 || busy(i)) continue;
    words[i] = toWord(currentOf(word), currentOf(word), SETTLED);
    moved++;
  }
  slots.open -= moved;
  return moved;
}

/** The words as a program that must always look for a flow's own cell reads them: a settled slot as a sparse one. */
export const consulted = (slots: Slots): Uint32Array =>
  slots.words.map((word) => (phaseOf(word) === SETTLED ? toWord(currentOf(word), baseOf(word), SPARSE) : word));

/** Every settled slot may have flows of other backends: sparse, until a sweep says that it has none. */
export function reopen(slots: Slots): void {
  for (let i = 0; i < slots.words.length; i++) {
    const word = slots.words[i]!;
    if (phaseOf(word) === SETTLED) move(slots, i, toWord(currentOf(word), currentOf(word), SPARSE));
  }
  slots.open = slots.words.length;
}

/** How many would be open, once every slot had its backend of `next`. */
export function unsettledAfter(slots: Slots, next: Uint16Array): number {
  const { words } = slots;
  let count = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (phaseOf(word) !== SETTLED || currentOf(word) !== next[i]) count++;
  }
  return count;
}

/** By local number: 1 for who is current or base of any slot. */
export function named(slots: Slots): Uint8Array {
  const { words } = slots;
  const found = new Uint8Array(Slot.SLOT_MASK + 1);
  for (let i = 0; i < words.length; i++) {
    found[currentOf(words[i]!)] = 1;
    found[baseOf(words[i]!)] = 1;
  }
  return found;
}
