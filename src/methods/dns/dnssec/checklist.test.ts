import { afterAll, expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Type } from "../../../protocols/dns/numbers.ts";
import { parseMessage } from "../../../protocols/dns/testing.ts";
import { checked } from "../checklist-testing.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "../testing.ts";

const services = [aService("shop"), aService("star", { names: ["*.wild.example.com"] })];
const snapshots = services.map(({ name }) => aSnapshot(name, [aBackend(0, "192.0.2.1"), aBackend(1, "192.0.2.2")]));
const keys = mkdtempSync(join(tmpdir(), "sluice-keys-"));
afterAll(() => rmSync(keys, { recursive: true }));
/** One that signs. That the signatures hold is shown by the tests beside this one. */
const signing = aServer(services, snapshots, {
  dnssec: { keys },
  zones: {
    "example.com": {
      records: [
        "old DNAME new",
        "sub NS ns.sub",
        "ns.sub A 192.0.2.60",
        "ds NS x.",
        "ds DS 1 13 2 00",
        "*.wild-alias CNAME shop",
      ],
    },
  },
});
/** Owner, type, and of an RRSIG the type it covers, of the answer and authority sections of a signed answer. */
function sealed(name: string, type: string, dnssecOk = true): string[] {
  const { answers, authority } = parseMessage(signing.raw(ask({ name, type, edns: 1232, dnssecOk })));
  return [...answers, ...authority].flatMap(({ owner, type: number, rdata }) =>
    rdata.map((r) => `${owner} ${number}${number === Type.RRSIG ? ` ${(r[0]! << 8) | r[1]!}` : ""}`),
  );
}

checked({
  "dnssec.do": () => {
    expect(sealed("shop.example.com", "A")).toEqual([...Array(2).fill("shop.example.com 1"), "shop.example.com 46 1"]);
    expect(sealed("shop.example.com", "A", false)).toEqual(Array(2).fill("shop.example.com 1"));
    expect(sealed("nobody.example.com", "A", false)).toEqual(["example.com 6"]);
  },
  "dnssec.denial": () => {
    const proof = ["example.com 6", "example.com 46 6"];
    for (const name of ["nobody.example.com", "wild.example.com", "shop.example.com"])
      expect(sealed(name, "TXT").sort()).toEqual([...proof, `${name} 46 47`, `${name} 47`].sort());
  },
  "dnssec.nxname": () => expect(signing.raw(ask({ name: "shop.example.com", type: "NXNAME" }))[3]! & 15).toBe(1),
  "dnssec.wildcard": () => expect(sealed("x.wild.example.com", "A").at(-1)).toBe("x.wild.example.com 46 1"),
  "dnssec.delegation": () => {
    const owner = "sub.example.com";
    expect(sealed("a.sub.example.com", "A")).toEqual([`${owner} 2`, `${owner} 47`, `${owner} 46 47`]);
    expect(sealed("a.ds.example.com", "A")).toEqual(["ds.example.com 2", "ds.example.com 43", "ds.example.com 46 43"]);
  },
  "dnssec.cds": () => {
    for (const [type, number] of [
      ["CDS", 59],
      ["CDNSKEY", 60],
    ] as const)
      expect(sealed("example.com", type)).toEqual([`example.com ${number}`, `example.com 46 ${number}`]);
  },
  "dnssec.dname": () =>
    expect(sealed("a.old.example.com", "CNAME")).toEqual([
      "old.example.com 39",
      "old.example.com 46 39",
      "a.old.example.com 5",
    ]),
  "dnssec.any": () => {
    expect(sealed("shop.example.com", "ANY")).toEqual(["shop.example.com 13", "shop.example.com 46 13"]);
    expect(sealed("x.wild-alias.example.com", "ANY")).toEqual([
      "x.wild-alias.example.com 5",
      "x.wild-alias.example.com 46 5",
    ]);
    expect(sealed("shop.example.com", "RRSIG")).toEqual(["shop.example.com 46 47"]);
  },
});
