import { expect, test } from "bun:test";
import { createPublicKey } from "node:crypto";
import { verifySet } from "../../../protocols/dns/dnssec/rrsig.ts";
import { nameToWire } from "../../../protocols/dns/name.ts";
import { Type } from "../../../protocols/dns/numbers.ts";
import { Guard } from "../guard.ts";
import { someSettings } from "../testing.ts";
import { makeKey } from "./key-file.ts";
import { SigningRoom, ZoneSigning } from "./zone-signing.ts";

test("a key that has the tag of the one before signs for itself; the same key again signs nothing anew", () => {
  const apex = nameToWire("example.com")!;
  const set = { owner: apex, type: Type.A, ttl: 60, rdata: [Uint8Array.from([192, 0, 2, 1])] };
  const asker = new Guard(someSettings(), 7, () => 0);
  const room = new SigningRoom({ validity: 86_400, signatures: 100, cache: 100 }, () => 0, 7);
  const signing = new ZoneSigning(apex, 0, room);
  for (const [i, { privateKey }] of [makeKey("zsk"), makeKey("zsk")].entries())
    for (let again = 0; again < 2; again++) {
      signing.take({ zone: "example.com", ttl: 60, sets: [], ds: [], zsk: { tag: 7, privateKey } });
      const [rrsig] = signing.sign(set, "own", asker)!;
      expect([verifySet(set, rrsig!, apex, createPublicKey(privateKey)), room.made]).toEqual([true, i + 1]);
    }
});
