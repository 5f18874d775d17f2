import { describe, expect, test } from "bun:test";
import { addressOctets } from "../core/address.ts";
import { type Area, GeoDatabase } from "./mmdb.ts";
import { makeMmdb, type Network } from "./mmdb-testing.ts";
import { PrefixTrie } from "./trie.ts";

const countries = ["DE", "US", "JP"];
const numberOf = ({ country, continent }: Area): number =>
  continent === "SA" ? 9 : country === null ? -1 : countries.indexOf(country);
const find = (trie: PrefixTrie, address: string): number => {
  const bytes = addressOctets(address);
  return trie.find(bytes, 0, bytes.length).value;
};

describe("a MaxMind database", () => {
  const networks: Network[] = [
    { prefix: "198.51.100.0/24", record: { country: { iso_code: "DE" }, continent: { code: "EU" } } },
    { prefix: "203.0.113.0/25", record: { country: { iso_code: "US" } } },
    { prefix: "203.0.113.128/25", record: { country_code: "JP" } },
    { prefix: "192.0.2.0/24", record: { continent: { code: "SA" } } },
    { prefix: "10.0.0.0/8", record: { other: "thing" } },
    { prefix: "2001:db8::/32", record: { country: { iso_code: "JP" } } },
  ];
  for (const recordSize of [24, 28, 32] as const)
    test(`records of ${recordSize} bits, both families, nested and flat words`, () => {
      const database = new GeoDatabase(makeMmdb(networks, recordSize));
      expect(database.title).toBe("Sluice-Test, built 1970-01-02");
      const trie = new PrefixTrie();
      database.fill(trie, numberOf);
      for (const made of [trie, trie.compact()]) {
        expect(
          ["198.51.100.7", "203.0.113.1", "203.0.113.200", "192.0.2.1", "10.1.1.1", "11.0.0.1"].map((a) =>
            find(made, a),
          ),
        ).toEqual([0, 1, 2, 9, -1, -1]);
        expect(["2001:db8::1", "2001:db9::1", "::c633:6407"].map((a) => find(made, a))).toEqual([2, -1, -1]);
      }
    });
  test("a record that all of IPv4 has is that of networks of IPv6 too", () => {
    const record = { country: { iso_code: "DE" } };
    const everywhere = ["0.0.0.0/0", "2001:db8::/32"].map((prefix) => ({ prefix, record }));
    const trie = new PrefixTrie();
    new GeoDatabase(makeMmdb(everywhere, 24)).fill(trie, numberOf);
    expect(["192.0.2.1", "2001:db8::1", "2001:db9::1"].map((a) => find(trie, a))).toEqual([0, 0, -1]);
  });
  /** Lists of two pointers to the next one: a few octets that stand for 2^60 values. `from`: where the first one lies. */
  const multiplied = (from: number): Uint8Array =>
    Uint8Array.from(
      Array.from({ length: 61 }, (_, i) => {
        const next = from + (i + 1) * 6;
        return i === 60 ? [0x41, 65] : [0x02, 4, 0x20 | (next >> 8), next & 255, 0x20 | (next >> 8), next & 255];
      }).flat(),
    );

  test("records and descriptions that multiply have an end", () => {
    const record = multiplied(0);
    const database = new GeoDatabase(makeMmdb([{ prefix: "10.0.0.0/8", record }], 24));
    expect(() => database.fill(new PrefixTrie(), numberOf)).toThrow("a record has no end");
    const plain = makeMmdb([], 24);
    const before = plain.length - plain.lastIndexOf("MaxMind.com") - 11 + 5;
    const description = multiplied(before);
    expect(() => new GeoDatabase(makeMmdb([], 24, { more: description }))).toThrow("a record has no end");
  });
  test("a description that makes no sense is refused", () => {
    const wrong: Record<string, string | number>[] = [
      { node_count: "x" },
      { node_count: 1e6 },
      { record_size: 25 },
      { ip_version: 5 },
      { build_epoch: "x" },
    ];
    for (const more of wrong) expect(() => new GeoDatabase(makeMmdb(networks, 24, more))).toThrow();
  });
  test("what is no database, or a damaged one, throws and ends", () => {
    expect(() => new GeoDatabase(Buffer.from("not a database"))).toThrow();
    const whole = makeMmdb(networks, 24);
    let ends = 0;
    for (let at = 0; at < whole.length; at += 3) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 0x55;
      try {
        new GeoDatabase(bytes).fill(new PrefixTrie(), numberOf);
      } catch {
        // It said so.
      }
      ends++;
    }
    expect(ends).toBeGreaterThan(100);
  });
});
