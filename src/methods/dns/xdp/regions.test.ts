import { expect, test } from "bun:test";
import fc from "fast-check";
import { clearHostBits } from "../../../geo/prefix.ts";
import { PrefixTrie } from "../../../geo/trie.ts";
import { DnsLimit } from "./layout.ts";
import { toStrides } from "./regions.ts";

/** As the program walks it: value + 1, and the bits that decide. */
function walk(words: Uint32Array, root: number, address: Uint8Array): { value: number; scope: number } {
  let table = root;
  for (let i = 0; ; i++) {
    const octet = address[i >> 1]!;
    const entry = words[table * 16 + ((i & 1) === 1 ? octet & 15 : octet >> 4)]!;
    if (entry & DnsLimit.DNS_LEAF) return { value: ((entry & ~DnsLimit.DNS_LEAF) >> 8) - 1, scope: entry & 255 };
    table = entry;
  }
}

const octets = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
const prefix = fc.tuple(fc.boolean(), fc.nat(128), octets(16), fc.nat(9)).map(([six, length, bytes, value]) => {
  const size = six ? 16 : 4;
  const bits = Math.min(length, size * 8);
  return { prefix: { bytes: clearHostBits(bytes.slice(0, size), bits), length: bits }, value };
});

test("networks in steps of four bits say what the trie says, and by as many bits", () => {
  fc.assert(
    fc.property(fc.array(prefix, { maxLength: 40 }), octets(16), fc.boolean(), (list, address, compact) => {
      const plain = new PrefixTrie();
      for (const { prefix, value } of list) plain.set(prefix, value);
      const trie = compact ? plain.compact() : plain;
      const words = toStrides([null, trie]);
      // Addresses of the networks themselves, and what differs from them late.
      const asked = [
        address,
        ...list.flatMap(({ prefix: { bytes } }) => [bytes, address.map((o, i) => bytes[i] ?? o)]),
      ];
      for (const one of asked)
        for (const [root, size] of [[2, 4] as const, [3, 16] as const])
          if (one.length >= size) expect(walk(words, root, one)).toEqual({ ...trie.find(one, 0, size) });
    }),
    { numRuns: 300 },
  );
});

test("nothing is known of anybody where there are no networks", () => {
  expect(walk(toStrides([null]), 1, new Uint8Array(16))).toEqual({ value: -1, scope: 0 });
});
