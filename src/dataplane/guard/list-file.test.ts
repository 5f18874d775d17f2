import { expect, test } from "bun:test";
import fc from "fast-check";
import { clearHostBits, prefixText } from "../../geo/prefix.ts";
import { parseList } from "./list-file.ts";

const prefix = fc
  .record({ size: fc.constantFrom(4, 16), octets: fc.uint8Array({ minLength: 16, maxLength: 16 }), cut: fc.nat(32) })
  .map(({ size, octets, cut }) => {
    const length = size * 8 - cut;
    const bytes = clearHostBits(octets.slice(0, size), length);
    // ::ffff:0:0/96 is IPv4 to everybody.
    if (size === 16) bytes[0] = 0x20;
    return { bytes, length };
  });
const noise = fc.constantFrom("", "   ", "# a comment", "\t# 10.0.0.0/8 is none");

test("a list of networks comes back as it was written, whatever stands between them", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(prefix, noise, fc.constantFrom("", " # why", "\r")), { maxLength: 30 }), (rows) => {
      const text = rows.map(([one, between, behind]) => `${between}\n  ${prefixText(one)}${behind}`).join("\n");
      expect(parseList(text).map(prefixText)).toEqual(rows.map(([one]) => prefixText(one)));
    }),
  );
});

test("any other line is refused by its number", () => {
  for (const wrong of ["10.0.0.1/8", "10.0.0.0/33", "10.0.0", "example.com", "10.0.0.0/8 10.1.0.0/16", "::1/129"])
    expect(() => parseList(`10.0.0.0/8\n\n${wrong}\n`)).toThrow(`line 3: ${JSON.stringify(wrong)} is not a network`);
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parseList(text);
      } catch (error) {
        expect((error as Error).message).toMatch(/^line \d+: /);
      }
    }),
  );
});
