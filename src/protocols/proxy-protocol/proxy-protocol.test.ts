import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseAddress } from "../../core/address.ts";
import { crc32c } from "./crc32c.ts";
import { INVALID, type Introduction, MORE, readIntroduction } from "./read.ts";
import { type Endpoint, writeIntroduction } from "./write.ts";

function read(bytes: Buffer): { end: number } & Introduction {
  const out: Introduction = { source: null, destination: null };
  return { end: readIntroduction(bytes, 0, out), ...out };
}
const text = (line: string) => read(Buffer.from(line, "latin1"));
const four = fc.ipV4().map((a) => parseAddress(a)!);
const six = fc
  .ipV6()
  .map((a) => parseAddress(a)!)
  .filter((a) => a?.includes(":"));
const port = fc.integer({ min: 0, max: 65_535 });
const ends = (address: fc.Arbitrary<string>): fc.Arbitrary<[Endpoint, Endpoint]> =>
  fc.tuple(fc.record({ address, port }), fc.record({ address, port }));
const both = fc.oneof(ends(four), ends(six));
const version = fc.constantFrom("v1" as const, "v2" as const);

describe("version 1", () => {
  test("what is valid", () => {
    expect(text("PROXY TCP4 192.0.2.1 198.51.100.2 5656 80\r\nGET")).toEqual({
      end: 43,
      source: { address: "192.0.2.1", port: 5656 },
      destination: { address: "198.51.100.2", port: 80 },
    });
    expect(text("PROXY UNKNOWN\r\n")).toEqual({ end: 15, source: null, destination: null });
    expect(text("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n").end).toBe(35);
  });
  test("the longest line there may be, 107 octets, comes whole or wants more; no octet of it decides before", () => {
    const longest = `PROXY UNKNOWN ${"x".repeat(91)}\r\n`;
    expect([longest.length, text(longest).end]).toEqual([107, 107]);
    for (let cut = 0; cut < 107; cut++) expect(text(longest.slice(0, cut)).end).toBe(MORE);
  });
  for (const line of [
    "GET / HTTP/1.1\r\n",
    "PROXY  TCP4 1.2.3.4 1.2.3.5 1 2\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.5 1 2\n",
    "PROXY TCP4 1.2.3.4 1.2.3.5 1 65536\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.5 01 2\r\n",
    "PROXY TCP4 1.2.3.400 1.2.3.5 1 2\r\n",
    "PROXY TCP4 01.2.3.4 1.2.3.5 1 2\r\n",
    "PROXY TCP4 ::1 ::2 1 2\r\n",
    "PROXY TCP6 1.2.3.4 1.2.3.5 1 2\r\n",
    "PROXY UDP4 1.2.3.4 1.2.3.5 1 2\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.5 1 2 3\r\n",
    "proxy TCP4 1.2.3.4 1.2.3.5 1 2\r\n",
    "PROXX TCP4 1.2.3.4 1.2.3.5 1 2\r\n",
    `PROXY UNKNOWN ${"x".repeat(92)}\r\n`,
    `PROXY UNKNOWN ${"x".repeat(100)}\r\n`,
    `PROXY UNKNOWN ${"x".repeat(93)}`,
    `PROXY UNKNOWN ${"x".repeat(100)}`,
  ])
    test(`refused: ${JSON.stringify(line.slice(0, 50))}`, () => expect(text(line).end).toBe(INVALID));
});

describe("version 2", () => {
  const good = writeIntroduction("v2", { address: "192.0.2.1", port: 5656 }, { address: "198.51.100.2", port: 80 });
  const altered = (at: number, value: number): number => {
    const copy = Buffer.from(good);
    copy[at] = value;
    return read(copy).end;
  };
  const withFields = (...fields: number[]) => {
    const bytes = Buffer.concat([good, Buffer.from(fields)]);
    bytes.writeUInt16BE(bytes.length - 16, 14);
    return bytes;
  };
  test("LOCAL says nothing of a client, whatever stands behind it", () => {
    expect(altered(12, 0x20)).toBe(28);
    const bytes = Buffer.from(good);
    bytes[12] = 0x20;
    expect(read(bytes).source).toBeNull();
    // Nor does its family, which nobody reads.
    for (const family of [0x00, 0x12, 0x31, 0x41, 0x1f, 0xff]) {
      bytes[13] = family;
      expect(read(bytes)).toEqual({ end: 28, source: null, destination: null });
    }
  });
  test("another version, command, family or protocol is refused; so are addresses that are cut", () => {
    for (const [at, value] of [
      [12, 0x11],
      [12, 0x22],
      [13, 0x41],
      [13, 0x13],
      [15, 11],
    ] as const)
      expect(altered(at, value)).toBe(INVALID);
    expect(altered(14, 0x13)).toBe(INVALID);
  });
  test("datagrams and unix sockets, whole, say nothing of a client either; the longest header has 4096 octets", () => {
    const unspoken = (family: number, size: number) => {
      const bytes = Buffer.alloc(16 + size);
      good.copy(bytes, 0, 0, 12);
      bytes.writeUInt16BE(size, 14);
      bytes.set([0x21, family], 12);
      return read(bytes);
    };
    const nobody = { source: null, destination: null };
    for (const [family, size] of [
      [0x00, 0],
      [0x01, 0],
      [0x10, 12],
      [0x12, 12],
      [0x20, 36],
      [0x22, 36],
      [0x31, 216],
      [0x32, 216],
    ] as const) {
      expect(unspoken(family, size)).toEqual({ end: 16 + size, ...nobody });
      if (size > 0) expect(unspoken(family, size - 1).end).toBe(INVALID);
    }
    const local = Buffer.alloc(4096);
    good.copy(local, 0, 0, 12);
    local.set([0x20, 0, 0x0f, 0xf0], 12);
    expect(read(local).end).toBe(4096);
    expect(read(local.subarray(0, 4095)).end).toBe(MORE);
    local.set([0x0f, 0xf1], 14);
    expect(read(local).end).toBe(INVALID);
    // A header that is not whole is not judged by what may still come.
    expect(read(good.subarray(0, 16)).end).toBe(MORE);
  });
  test("unknown fields are passed over; cut ones are refused", () => {
    expect(read(withFields(0xea, 0, 2, 1, 2)).source?.address).toBe("192.0.2.1");
    expect(read(withFields(0xea, 0, 3, 1, 2)).end).toBe(INVALID);
    expect(read(withFields(0xea, 0)).end).toBe(INVALID);
    expect(read(withFields(0xea, 0, 0)).source?.address).toBe("192.0.2.1");
    for (const length of [0, 3, 5])
      expect(read(withFields(0x03, 0, length, ...Array(length).fill(0))).end).toBe(INVALID);
  });
  test("a checksum must hold", () => {
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283); // RFC 3720 B.4's check value
    const bytes = withFields(0x03, 0, 4, 0, 0, 0, 0);
    bytes.writeUInt32BE(crc32c(bytes), bytes.length - 4);
    expect(read(bytes).end).toBe(bytes.length);
    bytes[20]! ^= 1;
    expect(read(bytes).end).toBe(INVALID);
  });
});

test("who says nothing of a client is not taken for the one before", () => {
  const out: Introduction = { source: null, destination: null };
  const one = writeIntroduction("v1", { address: "192.0.2.1", port: 1 }, { address: "192.0.2.2", port: 2 });
  const local = Buffer.from(writeIntroduction("v2", { address: "::1", port: 1 }, { address: "::2", port: 2 }));
  local[12] = 0x20;
  for (const next of [Buffer.from("PROXY UNKNOWN\r\n"), local]) {
    readIntroduction(one, 0, out);
    expect(out.source).toEqual({ address: "192.0.2.1", port: 1 });
    expect(readIntroduction(next, 0, out)).toBe(next.length);
    expect(out).toEqual({ source: null, destination: null });
  }
});

test("what is written is read again, both versions and families", () => {
  fc.assert(
    fc.property(version, both, (v, [source, destination]) => {
      const bytes = writeIntroduction(v, source, destination);
      expect(read(bytes)).toEqual({ end: bytes.length, source, destination });
    }),
  );
});

test("any beginning of a header wants more; more bytes behind it change nothing", () => {
  fc.assert(
    fc.property(version, both, fc.nat(120), (v, [source, destination], cut) => {
      const bytes = writeIntroduction(v, source, destination);
      if (cut < bytes.length) expect(read(bytes.subarray(0, cut)).end).toBe(MORE);
      expect(read(Buffer.concat([bytes, Buffer.alloc(9)])).end).toBe(bytes.length);
    }),
  );
});

test("mutated headers and noise: an offset inside, MORE or INVALID, never an exception", () => {
  const hits = fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 6 });
  fc.assert(
    fc.property(version, both, hits, fc.uint8Array({ maxLength: 60 }), (v, [source, destination], changes, noise) => {
      const bytes = Buffer.concat([writeIntroduction(v, source, destination), noise]);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      for (const each of [bytes, Buffer.from(noise)]) {
        const { end } = read(each);
        expect(end >= INVALID && end <= each.length).toBe(true);
      }
    }),
    { numRuns: 5000 },
  );
});
