import { expect, test } from "bun:test";
import fc from "fast-check";
import { Limit, Slot, table } from "./generated/layout.ts";
import { conversionOf, convert, otherMeaning } from "./layouts.ts";
import { packSlots, unpackSlots } from "./slot-words.ts";

const backend = fc.oneof(
  fc.constantFrom(0, 252, 253, 254, 255, 256, Limit.MAX_LOCAL - 1, null),
  fc.nat(Limit.MAX_LOCAL - 1),
);
const slot = fc
  .record({ current: backend, base: backend, phase: fc.constantFrom(0, 1, 2) })
  .map((one) => (one.phase === Slot.PHASE_SETTLED ? { ...one, base: one.current } : one));
type Slots = { current: number | null; base: number | null; phase: number }[];

/** Words of so many bits for each backend's number. */
const wordsOf = (slots: Slots, bits: number, none: number, shift: number): Uint32Array =>
  Uint32Array.from(
    slots,
    ({ current, base, phase }) => (current ?? none) | ((base ?? none) << bits) | (phase << shift),
  );
const ours = (slots: Slots): Uint32Array => wordsOf(slots, Slot.SLOT_BITS, Slot.SLOT_NONE, Slot.PHASE_SHIFT);

test("slots are read from a table as they were written, and settled ones of low numbers by their brief byte alone", () => {
  fc.assert(
    fc.property(fc.array(slot, { minLength: 1, maxLength: 40 }), (slots) => {
      const memory = new Uint8Array(table.size).fill(0xaa);
      packSlots(ours(slots), memory);
      expect(unpackSlots(memory, slots.length)).toEqual(ours(slots));
      slots.forEach(({ current, phase }, i) => {
        const own = phase === Slot.PHASE_SETTLED && current !== null && current < Slot.SLOT_WIDE;
        expect(memory[table.brief + i]).toBe(own ? current : Slot.SLOT_WIDE + phase);
      });
      expect(memory[table.brief - 1]).toBe(0xaa);
      expect(memory[table.brief + slots.length]).toBe(0xaa);
    }),
  );
});

/** Type information of a version whose tables have whole words, 14 bits for a number, before their backends. */
const former = {
  numbers: (name: string) =>
    new Map(
      name === "sluice_slot"
        ? [
            ["SLOT_BITS", 14],
            ["SLOT_MASK", 0x3fff],
            ["SLOT_NONE", 0x3fff],
            ["PHASE_SHIFT", 28],
            ["PHASE_WINDOW", 1],
          ]
        : [],
    ) as Map<string, number>,
  struct: () => ({
    size: 4 * (Limit.MAX_SLOTS + Limit.MAX_LOCAL),
    leaves: [
      { path: "slots", offset: 0, size: 4, count: Limit.MAX_SLOTS },
      { path: "backends", offset: 4 * Limit.MAX_SLOTS, size: 4, count: Limit.MAX_LOCAL },
    ],
  }),
};
const present = {
  numbers: (name: string) => new Map(Object.entries(name === "sluice_slot" ? Slot : {})),
  struct: () => ({
    size: table.size,
    leaves: [
      { path: "backends", offset: table.backends, size: 4, count: Limit.MAX_LOCAL },
      { path: "brief", offset: table.brief, size: 1, count: Limit.MAX_SLOTS },
      { path: "wide", offset: table.wide, size: 1, count: Slot.SLOT_WIDE_BYTES * Limit.MAX_SLOTS },
    ],
  }),
};

test("slots that another version kept as whole words are taken over, in every table of a chunk", () => {
  const conversion = conversionOf(former, present, "table");
  if ("refused" in conversion) throw new Error(conversion.refused);
  const some = [fc.sample(slot, 100), fc.sample(slot, 100)];
  const { size } = former.struct();
  const values = new Uint8Array(2 * size);
  some.forEach((slots, i) => {
    const words = new Uint32Array(values.buffer, i * size, size / 4);
    words.set(wordsOf(slots, 14, 0x3fff, 28));
    words[Limit.MAX_SLOTS + 7] = 1000 + i;
  });
  const tables = convert(values, size, table.size, conversion);
  some.forEach((slots, i) => {
    const one = tables.subarray(i * table.size, (i + 1) * table.size);
    expect(unpackSlots(one, slots.length)).toEqual(ours(slots));
    expect(new DataView(one.buffer, one.byteOffset).getUint32(table.backends + 4 * 7, true)).toBe(1000 + i);
  });
});

test("how those words were parted is no reason to refuse them, what a phase's number means is", () => {
  expect(otherMeaning(former, present)).toBeNull();
  const other = { ...former, numbers: (name: string) => former.numbers(name).set("PHASE_WINDOW", 2) };
  expect(otherMeaning(other, present)).toBe("PHASE_WINDOW was 2");
  const parted = { ...former, numbers: (name: string) => former.numbers(name).set("SLOT_WIDE", Slot.SLOT_WIDE) };
  expect(otherMeaning(parted, present)).toBe("SLOT_BITS was 14");
});
