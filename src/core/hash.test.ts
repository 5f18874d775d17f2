import { expect, test } from "bun:test";
import fc from "fast-check";
import { hashBytes, hashText } from "./hash.ts";

test("a hash is MurmurHash3's", () => {
  // Of its reference implementation (x86_32).
  expect(hashText("", 0)).toBe(0);
  expect(hashText("", 1)).toBe(0x514e28b7);
  expect(hashText("test", 0x9747b28c)).toBe(0x704b81dc);
  expect(hashText("Hello, world!", 0x9747b28c)).toBe(0x24884cba);
  expect(hashText("The quick brown fox jumps over the lazy dog", 0x9747b28c)).toBe(0x2fa826cd);
});

test("a text's hash is that of its UTF-8 bytes, however long it is and whatever it is made of", () => {
  const text = fc.oneof(fc.string({ unit: "binary", maxLength: 20 }), fc.string({ maxLength: 600 }));
  fc.assert(
    fc.property(text, fc.nat(), (one, seed) => {
      expect(hashText(one, seed)).toBe(hashBytes(new TextEncoder().encode(one), seed));
    }),
  );
});
