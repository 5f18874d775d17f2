import { Limit, Slot, table } from "./generated/layout.ts";

/** Both parts of the slots of a table in the kernel, given as its memory. */
function partsOf({ buffer, byteOffset }: ArrayBufferView): { brief: Uint8Array; wide: Uint8Array } {
  return {
    brief: new Uint8Array(buffer, byteOffset + table.brief, Limit.MAX_SLOTS),
    wide: new Uint8Array(buffer, byteOffset + table.wide, Slot.SLOT_WIDE_BYTES * Limit.MAX_SLOTS),
  };
}

/** Writes words of slots (`phases.ts`) as a table keeps them. */
export function packSlots(words: Uint32Array, into: ArrayBufferView): void {
  const { brief, wide } = partsOf(into);
  for (let i = 0, at = 0; i < words.length; i++) {
    const word = words[i]!;
    const phase = word >>> Slot.PHASE_SHIFT;
    const current = word & Slot.SLOT_MASK;
    brief[i] = phase === Slot.PHASE_SETTLED && current < Slot.SLOT_WIDE ? current : Slot.SLOT_WIDE + phase;
    wide[at++] = word;
    wide[at++] = word >>> 8;
    wide[at++] = word >>> 16;
  }
}

/** The words of a table's first `count` slots. */
export function unpackSlots(from: ArrayBufferView, count: number): Uint32Array {
  const { brief, wide } = partsOf(from);
  return Uint32Array.from({ length: count }, (_, i) => {
    const at = i * Slot.SLOT_WIDE_BYTES;
    const phase = Math.max(Slot.PHASE_SETTLED, brief[i]! - Slot.SLOT_WIDE);
    return wide[at]! | (wide[at + 1]! << 8) | (wide[at + 2]! << 16) | (phase << Slot.PHASE_SHIFT);
  });
}

/** Slots that another version's table keeps as whole words: where they stand in it, and how a word is parted. */
export interface WholeWords {
  /** Bytes before the first one. */
  at: number;
  count: number;
  /** Bits of a backend's number; above two of them stands the phase, from bit `shift` on. */
  bits: number;
  none: number;
  shift: number;
}

/** Takes slots over from a table of another version, given as its memory, into one of ours. */
export function repackSlots(from: DataView, { at, count, bits, none, shift }: WholeWords, into: ArrayBufferView): void {
  const mask = 2 ** bits - 1;
  const toOurs = (number: number): number => (number === none ? Slot.SLOT_NONE : number);
  const words = Uint32Array.from({ length: count }, (_, i) => {
    const word = from.getUint32(at + 4 * i, true);
    const [current, base] = [toOurs(word & mask), toOurs((word >>> bits) & mask)];
    return current | (base << Slot.SLOT_BITS) | ((word >>> shift) << Slot.PHASE_SHIFT);
  });
  packSlots(words, into);
}
