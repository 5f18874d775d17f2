import { describe, expect, test } from "bun:test";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { nameToWire } from "../name.ts";
import { Type } from "../numbers.ts";
import { compareRdata } from "./canonical.ts";
import { dnskeyRdata, dsRdata, ENTRY_KEY, keyTag, signSet, verifySet } from "./rrsig.ts";

const wire = (name: string): Uint8Array => nameToWire(name)!;
const base64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "base64"));

/** RFC 6605 6.1. */
const point = base64("GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==");
const [x, y] = [point.subarray(0, 32), point.subarray(32)];
const url = (octets: Uint8Array): string => Buffer.from(octets).toString("base64url");
const key = createPublicKey({ key: { kty: "EC", crv: "P-256", x: url(x), y: url(y) }, format: "jwk" });
const www = { owner: wire("www.example.net"), type: Type.A, ttl: 3600, rdata: [Uint8Array.of(192, 0, 2, 1)] };
const seconds = (text: string): number => Date.parse(text) / 1000;
const example = ((): Uint8Array => {
  const head = new Uint8Array(18);
  const view = new DataView(head.buffer);
  view.setUint16(0, Type.A);
  head.set([13, 3], 2);
  view.setUint32(4, 3600);
  view.setUint32(8, seconds("2010-09-09T10:04:39Z"));
  view.setUint32(12, seconds("2010-08-12T10:04:39Z"));
  view.setUint16(16, 55648);
  const signature = base64("qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==");
  return Buffer.concat([head, wire("example.net"), signature]);
})();

describe("RFC 6605 6.1", () => {
  const dnskey = dnskeyRdata(ENTRY_KEY, x, y);
  test("the key's tag and digest", () => {
    expect(keyTag(dnskey)).toBe(55648);
    expect(Buffer.from(dsRdata(wire("example.net"), dnskey)).toString("hex")).toBe(
      "d9600d02b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17",
    );
  });

  test("the signature holds for its set, and for no other", () => {
    const signer = wire("example.net");
    expect(verifySet(www, example, signer, key)).toBe(true);
    expect(verifySet({ ...www, rdata: [Uint8Array.of(192, 0, 2, 2)] }, example, signer, key)).toBe(false);
    expect(verifySet({ ...www, owner: wire("wwx.example.net") }, example, signer, key)).toBe(false);
  });
});

describe("a signature made here", () => {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const terms = { signer: wire("example.net"), tag: 7, inception: 1000, expiration: 2000 };

  test("says what it must, and does not hang on the order of the records (RFC 4034 6.3)", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 20 }), {
          minLength: 1,
          maxLength: 6,
          comparator: (a, b) => compareRdata(a, b) === 0,
        }),
        fc.nat(2 ** 31 - 1),
        (rdata, ttl) => {
          const set = { owner: wire("*.a.example.net"), type: 65280, ttl, rdata };
          const made = signSet(set, terms, pair.privateKey);
          const view = new DataView(made.buffer, made.byteOffset);
          // The star is no label.
          expect([view.getUint16(0), made[2], made[3], view.getUint32(4)]).toEqual([65280, 13, 3, ttl]);
          expect([view.getUint32(8), view.getUint32(12), view.getUint16(16)]).toEqual([2000, 1000, 7]);
          expect(verifySet({ ...set, rdata: rdata.toReversed() }, made, terms.signer, pair.publicKey)).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });
});
