import { mix32 } from "../../core/hash.ts";
import { hashName } from "./name.ts";

/**
 * Values by wire name, matched without regard to case and without making a string of the queried name. Open addressing
 * with linear probing over typed arrays: 100,000 names cost their octets plus 40 each, and a miss reads one slot mostly.
 */
export class NameTable<T> {
  /** Two numbers a slot, side by side in memory: entry number + 1 (0 is free), and the name's hash. At most half full. */
  private slots = new Int32Array(128);
  private mask = 63;
  private hashes = new Int32Array(32);
  /** Where each entry's name begins in `octets`; one more than there are entries. */
  private starts = new Uint32Array(33);
  private octets = new Uint8Array(1024);
  private readonly values: T[] = [];

  get size(): number {
    return this.values.length;
  }

  /** The value at the name `bytes[start..end)` (root label included), whose `hashName` is `hash`. Allocates nothing. */
  find(bytes: Uint8Array, start: number, end: number, hash: number): T | undefined {
    const { mask, slots } = this;
    for (let slot = mix32(hash) & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot * 2]! - 1;
      if (entry === -1) return undefined;
      if (slots[slot * 2 + 1] === hash && this.equal(entry, bytes, start, end)) return this.values[entry];
    }
  }

  /** The value at a lower-case wire name, or at the one above it that begins at `from`. */
  get(wire: Uint8Array, from = 0): T | undefined {
    return this.find(wire, from, wire.length, hashName(wire, from));
  }

  /** Calls back with every name (its octets are the table's own) and its value, in the order they were added. */
  each(call: (wire: Uint8Array, value: T) => void): void {
    const { octets, starts, values } = this;
    for (let i = 0; i < values.length; i++) call(octets.subarray(starts[i], starts[i + 1]), values[i]!);
  }

  /** Names with their values, in the order they were added. */
  *entries(): Generator<[name: Uint8Array, value: T]> {
    for (const [i, value] of this.values.entries())
      yield [this.octets.slice(this.starts[i]!, this.starts[i + 1]!), value];
  }

  /** In the order they were added. */
  get all(): readonly T[] {
    return this.values;
  }

  /** Adds a name that is not there yet; `wire` is lower case, root label included. */
  add(wire: Uint8Array, value: T): void {
    const entry = this.values.length;
    this.grow(wire.length);
    const hash = hashName(wire);
    const start = this.starts[entry]!;
    this.octets.set(wire, start);
    this.starts[entry + 1] = start + wire.length;
    this.hashes[entry] = hash;
    this.values.push(value);
    this.place(entry, hash);
  }

  private place(entry: number, hash: number): void {
    const { mask, slots } = this;
    let slot = mix32(hash) & mask;
    while (slots[slot * 2] !== 0) slot = (slot + 1) & mask;
    slots[slot * 2] = entry + 1;
    slots[slot * 2 + 1] = hash;
  }

  private grow(nameLength: number): void {
    const entries = this.values.length;
    const used = this.starts[entries]!;
    if (used + nameLength > this.octets.length) this.octets = enlarge(this.octets, Uint8Array, this.octets.length * 2);
    if (entries < this.hashes.length) return;
    this.hashes = enlarge(this.hashes, Int32Array, entries * 2);
    this.starts = enlarge(this.starts, Uint32Array, entries * 2 + 1);
    this.slots = new Int32Array(entries * 8);
    this.mask = entries * 4 - 1;
    for (let i = 0; i < entries; i++) this.place(i, this.hashes[i]!);
  }

  private equal(entry: number, bytes: Uint8Array, start: number, end: number): boolean {
    const from = this.starts[entry]!;
    const length = end - start;
    if (this.starts[entry + 1]! - from !== length) return false;
    const octets = this.octets;
    for (let i = 0; i < length; i++) {
      const octet = bytes[start + i]!;
      if (octets[from + i] !== (octet >= 65 && octet <= 90 ? octet + 32 : octet)) return false;
    }
    return true;
  }
}

function enlarge<A extends Uint8Array | Uint32Array | Int32Array>(old: A, make: new (n: number) => A, size: number): A {
  const next = new make(size);
  next.set(old);
  return next;
}
