import { expect, test } from "bun:test";
import fc from "fast-check";
import { foldOctet, foldWord } from "../../../protocols/dns/name.ts";
import { Arena } from "./arena.ts";
import { QuestionTable } from "./question-table.ts";

/** A name as words of a message, something else right behind it. */
function asked(name: Uint8Array): Int32Array {
  const bytes = new Uint8Array(272).fill(0xaa);
  bytes.set(name, 4);
  return new Int32Array(bytes.buffer);
}

test("four octets are folded as each of them would be", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (octets) => {
      const folded = new Uint8Array(Int32Array.of(foldWord(new Int32Array(octets.slice().buffer)[0]!)).buffer);
      expect([...folded]).toEqual([...octets].map(foldOctet));
    }),
  );
});

test("the table finds what a map of folded questions finds", () => {
  // Few different octets, both cases among them, and few types: questions that are nearly the same.
  const octet = fc.constantFrom(0, 1, 64, 65, 90, 91, 97, 122, 193, 255);
  const name = fc.array(octet, { minLength: 1, maxLength: 9 }).map((octets) => Uint8Array.from(octets));
  const long = fc.uint8Array({ minLength: 250, maxLength: 255 });
  const question = fc.tuple(fc.oneof({ weight: 9, arbitrary: name }, long), fc.constantFrom(1, 28, 257));
  fc.assert(
    fc.property(fc.array(question, { maxLength: 300 }), (questions) => {
      const arena = new Arena();
      const table = new QuestionTable(arena);
      const known = new Map<string, number>();
      for (const [octets, type] of questions) {
        const key = `${type} ${[...octets].map(foldOctet)}`;
        const found = table.find(asked(octets), 1, octets.length, type);
        expect(found).toBe(known.get(key) ?? 0);
        if (found === 0) known.set(key, table.add());
      }
      table.clear();
      for (const [octets, type] of questions) expect(table.find(asked(octets), 1, octets.length, type)).toBe(0);
    }),
  );
});
