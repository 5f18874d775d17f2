import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { nameToWire } from "./name.ts";
import { checkTsig, readTsig, type TsigAlgorithm, TsigError, type TsigKey, tsigAlgorithms } from "./tsig.ts";

const wire = (name: string): Uint8Array => nameToWire(name)!;
const key = (algorithm: TsigAlgorithm): TsigKey => ({
  name: wire("transfer.example"),
  algorithm,
  secret: new TextEncoder().encode("sixteen octets!!"),
});
const word = (n: number): number[] => [n >> 8, n & 255];
const NOW = 1_700_000_000;

/** A signed SOA query, put together octet by octet beside the product's own code; returns where the record begins. */
function signed(
  by: TsigKey,
  { time = NOW, cut = 0, more = 0, id = 7, sent = 7 } = {},
): { bytes: Uint8Array; at: number; mac: Buffer } {
  const question = [...wire("example.com"), 0, 6, 0, 1];
  const plain = Uint8Array.from([...word(id), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...question]);
  const times = [0, 0, (time >>> 24) & 255, (time >>> 16) & 255, (time >>> 8) & 255, time & 255];
  const algorithm = wire(by.algorithm);
  const variables = [...by.name, 0, 255, 0, 0, 0, 0, ...algorithm, ...times, ...word(300), 0, 0, 0, 0];
  const mac = createHmac(by.algorithm.slice(5), by.secret).update(plain).update(Uint8Array.from(variables)).digest();
  const shown = Buffer.concat([mac.subarray(0, mac.length - cut), Buffer.alloc(more)]);
  const data = [...algorithm, ...times, ...word(300), ...word(shown.length), ...shown, ...word(id), 0, 0, 0, 0];
  const bytes = Uint8Array.from([...plain, ...by.name, 0, 250, 0, 255, 0, 0, 0, 0, ...word(data.length), ...data]);
  bytes[11] = 1;
  bytes.set(word(sent), 0);
  return { bytes, at: plain.length, mac };
}

const errorOf = ({ bytes, at }: { bytes: Uint8Array; at: number }, keys: TsigKey[]): number | null =>
  checkTsig(bytes, at, bytes.length, keys, NOW)?.error ?? null;

describe("the TSIG of a query", () => {
  for (const algorithm of Object.keys(tsigAlgorithms) as TsigAlgorithm[])
    test(`${algorithm}: a right one holds, also when the id was changed on the way`, () => {
      expect(errorOf(signed(key(algorithm)), [key(algorithm)])).toBe(TsigError.NONE);
      expect(errorOf(signed(key(algorithm), { sent: 99 }), [key(algorithm)])).toBe(TsigError.NONE);
    });

  test("tsig.errors: another key, name, algorithm, time, and a cut MAC are told apart (RFC 8945 5.2)", () => {
    const own = key("hmac-sha256");
    expect(errorOf(signed(own), [])).toBe(TsigError.BADKEY);
    expect(errorOf(signed(own), [{ ...own, name: wire("other") }])).toBe(TsigError.BADKEY);
    expect(errorOf(signed(own), [{ ...own, algorithm: "hmac-sha512" }])).toBe(TsigError.BADKEY);
    expect(errorOf(signed(own), [{ ...own, secret: new Uint8Array(16) }])).toBe(TsigError.BADSIG);
    expect(errorOf(signed(own, { time: NOW - 301 }), [own])).toBe(TsigError.BADTIME);
    expect(errorOf(signed(own, { time: NOW + 299 }), [own])).toBe(TsigError.NONE);
    expect(errorOf(signed(own, { cut: 16 }), [own])).toBe(TsigError.BADTRUNC);
    // Too short to be one, or longer than the hash: malformed.
    expect(errorOf(signed(own, { cut: 17 }), [own])).toBeNull();
    expect(errorOf(signed(own, { more: 1 }), [own])).toBeNull();
  });

  test("whatever octet is changed: it does not hold", () => {
    const own = key("hmac-sha256");
    const good = signed(own);
    fc.assert(
      fc.property(fc.nat(good.bytes.length - 1), fc.integer({ min: 1, max: 255 }), (place, change) => {
        const bytes = Uint8Array.from(good.bytes);
        bytes[place]! ^= change;
        // The id may change on the way, and the case of names says nothing.
        const folded = change === 32;
        if (place < 2 || folded) return;
        expect(errorOf({ bytes, at: good.at }, [own])).not.toBe(TsigError.NONE);
      }),
      { numRuns: 500 },
    );
  });

  test("any octets: nothing is read beyond them, nothing thrown", () => {
    const good = signed(key("hmac-sha256"));
    fc.assert(
      fc.property(fc.nat(good.bytes.length), fc.uint8Array({ maxLength: 60 }), (cut, tail) => {
        const bytes = Uint8Array.from([...good.bytes.subarray(0, cut), ...tail]);
        if (bytes.length > good.at) readTsig(bytes, good.at, bytes.length);
        readTsig(tail, 0, tail.length);
      }),
      { numRuns: 500 },
    );
  });
});

test("tsig.answer: answers are signed with the MAC of the query, later messages with that of the one before (RFC 8945 5.3)", () => {
  const own = key("hmac-sha256");
  const query = signed(own);
  const { session } = checkTsig(query.bytes, query.at, query.bytes.length, [own], NOW)!;
  let before: Uint8Array = query.mac;
  for (const [number, octet] of [1, 2, 3].entries()) {
    const out = new Uint8Array(512);
    out.set([0, 7, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, octet]);
    const end = session.sign(out, 13);
    expect(end - 13).toBe(session.size);
    const record = readTsig(out, 13, end)!;
    const plain = Uint8Array.from(out.subarray(0, 13));
    plain[11] = 0;
    const times = [0, 0, (NOW >>> 24) & 255, (NOW >>> 16) & 255, (NOW >>> 8) & 255, NOW & 255, ...word(300)];
    const all = [...own.name, 0, 255, 0, 0, 0, 0, ...wire(own.algorithm), ...times, 0, 0, 0, 0];
    const mac = createHmac("sha256", own.secret)
      .update(Uint8Array.from([...word(before.length), ...before]))
      .update(plain)
      .update(Uint8Array.from(number === 0 ? all : times))
      .digest();
    expect([...record.mac]).toEqual([...mac]);
    before = record.mac;
  }
});

test("tsig.answer: a message that goes out later says so, or a long transfer would be too old to be taken", () => {
  const own = key("hmac-sha256");
  const query = signed(own);
  const { session } = checkTsig(query.bytes, query.at, query.bytes.length, [own], NOW)!;
  const times = [NOW, NOW + 400].map((now) => {
    const out = new Uint8Array(512);
    return readTsig(out, 12, session.sign(out, 12, now))!.time;
  });
  expect(times).toEqual([NOW, NOW + 400]);
});
