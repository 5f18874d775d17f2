import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { nameToWire } from "../name.ts";
import { MAX_NAME } from "../numbers.ts";
import { compareRdata } from "./canonical.ts";
import { bitmapTypes, compactNsec, nextName, typeBitmap } from "./nsec.ts";

/** Labels from the root down: canonical order compares those (RFC 4034 6.1). */
function labelsOf(wire: Uint8Array): Uint8Array[] {
  const labels: Uint8Array[] = [];
  for (let at = 0; wire[at] !== 0; at += wire[at]! + 1) labels.unshift(wire.subarray(at + 1, at + 1 + wire[at]!));
  return labels;
}

function compareNames(a: Uint8Array, b: Uint8Array): number {
  const [as, bs] = [labelsOf(a), labelsOf(b)];
  for (let i = 0; i < Math.min(as.length, bs.length); i++) {
    const order = compareRdata(as[i]!, bs[i]!);
    if (order !== 0) return order;
  }
  return as.length - bs.length;
}

const label = fc
  .uint8Array({ minLength: 1, maxLength: 63 })
  .map((octets) => octets.map((o) => (o >= 65 && o <= 90 ? o + 32 : o)));
const wireName = fc.array(label, { minLength: 1, maxLength: 8 }).map((labels) => {
  const octets = labels.flatMap((l) => [l.length, ...l]);
  return Uint8Array.from([...octets, 0]);
});

describe("the type bitmap", () => {
  test("RFC 4034 4.3: A MX RRSIG NSEC TYPE1234", () => {
    const expected = `0006400100000003041b${"00".repeat(26)}20`;
    expect(Buffer.from(typeBitmap([1, 15, 46, 47, 1234])).toString("hex")).toBe(expected);
  });

  test("holds what was put in, whatever the order", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 65535 })), (types) => {
        expect(bitmapTypes(typeBitmap(types))).toEqual(types.toSorted((a, b) => a - b));
      }),
    );
  });
});

describe("the next name", () => {
  test("is a zero octet below", () => {
    expect([...nextName(nameToWire("a.example")!)]).toEqual([1, 0, ...nameToWire("a.example")!]);
  });

  test("of names of any length is a name, and comes after it", () => {
    fc.assert(
      fc.property(
        wireName.filter((name) => name.length <= MAX_NAME),
        (name) => {
          const next = nextName(name);
          expect(next.length).toBeLessThanOrEqual(MAX_NAME);
          expect(compareNames(name, next)).toBeLessThan(0);
        },
      ),
      { numRuns: 300 },
    );
    const long = (size: number, octet: number): Uint8Array =>
      Uint8Array.from([...[size - 194, 63, 63, 63].flatMap((n) => [n, ...Array(n).fill(octet)]), 0]);
    for (const size of [252, 253, 254, 255])
      for (const octet of [0, 64, 97, 254, 255]) {
        const name = long(size, octet);
        expect(name.length).toBe(size);
        const next = nextName(name);
        expect(next.length).toBeLessThanOrEqual(MAX_NAME);
        // The very last name of all has none after it but the first.
        if (octet < 255 || size < 254) expect(compareNames(name, next)).toBeLessThan(0);
      }
  });
});

test("the proof of a name that does not exist has three types (RFC 9824 3.1)", () => {
  const owner = nameToWire("nobody.example")!;
  const rdata = compactNsec(owner, [128, 46, 47]);
  expect(bitmapTypes(rdata.subarray(owner.length + 2))).toEqual([46, 47, 128]);
});
