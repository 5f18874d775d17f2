import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { addressOctets } from "../core/address.ts";
import { clearHostBits, type Prefix, parsePrefix, prefixText } from "./prefix.ts";
import { PrefixTrie, trieOf } from "./trie.ts";

const find = (trie: PrefixTrie, address: string): [number, number] => {
  const bytes = addressOctets(address);
  const { value, scope } = trie.find(bytes, 0, bytes.length);
  return [value, scope];
};

test("prefixes: text and back, host bits refused", () => {
  for (const text of ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "2001:db8::/32", "::/0"])
    expect(prefixText(parsePrefix(text)!)).toBe(text);
  expect(prefixText(parsePrefix("192.0.2.1")!)).toBe("192.0.2.1/32");
  for (const text of ["10.0.0.1/8", "10.0.0.0/33", "10/8", "x", "", "1.2.3.4/", "::1/129"])
    expect(parsePrefix(text)).toBeNull();
});

describe("a trie", () => {
  const trie = trieOf(["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"].map((text) => parsePrefix(text)!));
  test("finds the longest network, and the bits that decide", () => {
    expect(find(trie, "10.1.2.3")).toEqual([1, 16]);
    expect(find(trie, "10.2.0.0")).toEqual([0, 15]);
    expect(find(trie, "10.128.0.0")).toEqual([0, 9]);
    expect(find(trie, "192.0.2.1")).toEqual([-1, 1]);
    expect(find(trie, "2001:db8::1")).toEqual([2, 32]);
    expect(find(new PrefixTrie(), "192.0.2.1")).toEqual([-1, 0]);
  });
});

test("grows: ten thousand networks keep their values", () => {
  const trie = new PrefixTrie();
  for (let i = 0; i < 10_000; i++) trie.set({ bytes: Uint8Array.of(10, i >> 8, i & 255, 0), length: 24 }, i);
  for (let i = 0; i < 10_000; i += 7) expect(find(trie, `10.${i >> 8}.${i & 255}.9`)).toEqual([i, 24]);
});

test("covering a network takes what stood within it", () => {
  const trie = trieOf(["10.0.0.0/8", "10.1.0.0/16"].map((text) => parsePrefix(text)!));
  trie.cover(parsePrefix("10.0.0.0/8")!, 5);
  expect(find(trie, "10.1.2.3")).toEqual([5, 8]);
});

const prefixes = fc.array(
  fc
    .tuple(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.integer({ min: 0, max: 32 }),
      fc.integer({ min: 0, max: 3 }),
    )
    .map(([bytes, length, value]) => ({ prefix: { bytes: clearHostBits(bytes, length), length } as Prefix, value })),
  { maxLength: 40 },
);
const address = fc.uint8Array({ minLength: 4, maxLength: 4 });

test("any set of networks: as a search of the list says; the scope decides; compacting changes no value", () => {
  fc.assert(
    fc.property(prefixes, address, address, (list, bytes, other) => {
      const trie = new PrefixTrie();
      for (const { prefix, value } of list) trie.set(prefix, value);
      const holds = ({ bytes: net, length }: Prefix): boolean =>
        clearHostBits(bytes.slice(), length).every((octet, i) => octet === net[i]);
      const longest = list
        .filter(({ prefix }) => holds(prefix))
        .reduce((most, l) => Math.max(most, l.prefix.length), -1);
      const expected = list.findLast(({ prefix }) => prefix.length === longest && holds(prefix))?.value ?? -1;
      for (const made of [trie, trie.compact()]) {
        const { value, scope } = made.find(bytes, 0, 4);
        expect(value).toBe(expected);
        // Another address with the same first bits has the same value.
        const near = other.slice();
        for (let bit = 0; bit < scope; bit++) {
          const mask = 128 >> (bit & 7);
          near[bit >> 3] = (near[bit >> 3]! & ~mask) | (bytes[bit >> 3]! & mask);
        }
        expect(made.find(near, 0, 4).value).toBe(expected);
      }
      expect(trie.compact().size).toBeLessThanOrEqual(trie.size);
    }),
  );
});
