import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { hashName, isWithin, mailboxToWire, nameToWire, wireToName } from "./name.ts";
import { NameTable } from "./name-table.ts";

const label = fc.uint8Array({ minLength: 1, maxLength: 63 });
const wireName = fc
  .array(label, { minLength: 1, maxLength: 8 })
  .map((labels) => Uint8Array.from([...labels.flatMap((l) => [l.length, ...l]), 0]))
  .filter((wire) => wire.length <= 255);
const fold = (wire: Uint8Array): Uint8Array => wire.map((o) => (o >= 65 && o <= 90 ? o + 32 : o));

describe("names", () => {
  test("any octets survive the way to text and back, folded", () => {
    fc.assert(
      fc.property(wireName, (wire) => {
        expect(nameToWire(wireToName(wire))).toEqual(fold(wire));
      }),
    );
  });

  test("limits: labels of 63, names of 255 octets", () => {
    expect(nameToWire(`${"a".repeat(63)}.com`)).not.toBeNull();
    expect(nameToWire(`${"a".repeat(64)}.com`)).toBeNull();
    const long = Array.from({ length: 4 }, () => "a".repeat(62)).join(".");
    expect(nameToWire(long)!.length).toBe(253);
    expect(nameToWire(`${long}.b`)!.length).toBe(255);
    expect(nameToWire(`${long}.bb`)).toBeNull();
    for (const bad of ["", "a..b", ".a", "a b.c", "ä.de", "a\\300.b", "a\\"]) expect(nameToWire(bad)).toBeNull();
  });

  test("within a zone is at its apex or below, by whole labels", () => {
    const within = (a: string, b: string): boolean => isWithin(nameToWire(a)!, nameToWire(b)!);
    expect(within("example.com", "example.com")).toBe(true);
    expect(within("a.b.example.com", "example.com")).toBe(true);
    expect(within("badexample.com", "example.com")).toBe(false);
    expect(within("com", "example.com")).toBe(false);
  });

  test("a mailbox's dots before the @ stay in one label", () => {
    expect(wireToName(mailboxToWire("ada.lovelace@example.com")!)).toBe("ada\\.lovelace.example.com");
    expect(wireToName(mailboxToWire("hostmaster.example.com")!)).toBe("hostmaster.example.com");
  });
});

describe("the name table", () => {
  test("finds what was added, in any case, and nothing else", () => {
    fc.assert(
      fc.property(fc.uniqueArray(wireName.map(fold), { selector: String, maxLength: 80 }), wireName, (names, other) => {
        const table = new NameTable<number>();
        for (const [i, name] of names.entries()) table.add(name, i);
        for (const [i, name] of names.entries()) {
          const upper = name.map((o) => (o >= 97 && o <= 122 ? o - 32 : o));
          const padded = Uint8Array.from([9, 9, ...upper, 9]);
          expect(hashName(upper)).toBe(hashName(name));
          expect(table.find(padded, 2, 2 + name.length, hashName(name))).toBe(i);
        }
        const at = names.findIndex((name) => String(name) === String(fold(other)));
        expect(table.get(fold(other))).toBe(at === -1 ? undefined : at);
      }),
      { numRuns: 60 },
    );
  });
});
