import { foldWord } from "../../../protocols/dns/name.ts";
import { MAX_NAME } from "../../../protocols/dns/numbers.ts";
import type { Arena } from "./arena.ts";

/** Words of an entry before its name: length and type in one, then what the answer is made of. With most names two fit a line. */
export const Entry = { KEY: 0, SET: 1, FIXED: 2, NAME: 3 } as const;

/** Most questions. */
const MOST = 1 << 20;
const MULTIPLIER = 0x85ebca6b;

/**
 * Questions (name and type) without regard to case, read as words out of the message: four octets cost what one would.
 * Open addressing with linear probing, at most half full; a question that is there costs two lines of memory.
 */
export class QuestionTable {
  private readonly arena: Arena;
  /** Two words a slot: hash, place of the entry (0: free). */
  private slots = new Int32Array(2 * 64);
  private mask = 63;
  private count = 0;
  /** The question that was looked for last. */
  private readonly name = new Int32Array((MAX_NAME + 1) / 4);
  private size = 0;
  private key = 0;
  private hash = 0;

  constructor(arena: Arena) {
    this.arena = arena;
  }

  /** The entry of the question whose name of `length` octets (root label included) begins at `words[from]`; 0: none. */
  find(words: Int32Array, from: number, length: number, type: number): number {
    const { name, slots, mask } = this;
    const cells = this.arena.words;
    const key = length | (type << 8);
    const size = (length + 3) >> 2;
    let hash = key;
    for (let i = 0; i < size; i++) {
      let word = words[from + i]!;
      // Behind the name's end stands what is no part of it.
      if (i === size - 1) word &= 0xffffffff >>> ((4 * size - length) * 8);
      word = foldWord(word);
      name[i] = word;
      hash = Math.imul(hash ^ word, MULTIPLIER);
      hash ^= hash >>> 15;
    }
    this.size = size;
    this.key = key;
    this.hash = hash;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[2 * slot + 1]!;
      if (entry === 0) return 0;
      if (slots[2 * slot] !== hash || cells[entry] !== key) continue;
      let i = 0;
      while (i < size && cells[entry + Entry.NAME + i] === name[i]) i++;
      if (i === size) return entry;
    }
  }

  /** Adds the question that was looked for last and not found; its entry, or 0 when there is no room. */
  add(): number {
    if (this.count === MOST) return 0;
    const entry = this.arena.take(Entry.NAME + this.size);
    if (entry === 0) return 0;
    const cells = this.arena.words;
    cells[entry] = this.key;
    for (let i = 0; i < this.size; i++) cells[entry + Entry.NAME + i] = this.name[i]!;
    if (++this.count * 2 > this.mask + 1) this.grow();
    place(this.slots, this.mask, this.hash, entry);
    return entry;
  }

  clear(): void {
    this.slots = new Int32Array(2 * 64);
    this.mask = 63;
    this.count = 0;
  }

  private grow(): void {
    const { slots: old } = this;
    this.slots = new Int32Array(old.length * 2);
    this.mask = old.length - 1;
    for (let i = 0; i < old.length; i += 2) if (old[i + 1] !== 0) place(this.slots, this.mask, old[i]!, old[i + 1]!);
  }
}

function place(slots: Int32Array, mask: number, hash: number, entry: number): void {
  let slot = hash & mask;
  while (slots[2 * slot + 1] !== 0) slot = (slot + 1) & mask;
  slots[2 * slot] = hash;
  slots[2 * slot + 1] = entry;
}
