import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bitmapTypes } from "../../../protocols/dns/dnssec/nsec.ts";
import { nameToWire } from "../../../protocols/dns/name.ts";
import { Type } from "../../../protocols/dns/numbers.ts";
import { parseMessage } from "../../../protocols/dns/testing.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "../testing.ts";

const keys = mkdtempSync(join(tmpdir(), "sluice-keys-"));
afterAll(() => rmSync(keys, { recursive: true }));

test("DS of an unsigned zone inside a signed one is denied with a proof: without it the inner one were bogus (RFC 4035 5.2)", () => {
  const services = [aService("shop"), aService("child", { names: ["www.child.example.com"] })];
  const snapshots = services.map(({ name }) => aSnapshot(name, [aBackend(1, "192.0.2.1")]));
  const server = aServer(services, snapshots, {
    zones: { "example.com": null, "child.example.com": null },
    dnssec: { keys, zones: ["example.com"] },
  });
  const { answers, authority } = parseMessage(
    server.raw(ask({ name: "child.example.com", type: "DS", edns: 1232, dnssecOk: true })),
  );
  expect(answers).toEqual([]);
  const nsec = authority.find(({ type }) => type === Type.NSEC)!;
  expect(nsec.owner).toBe("child.example.com");
  const next = nameToWire("child.example.com")!.length + 2;
  expect(bitmapTypes(nsec.rdata[0]!.subarray(next))).toEqual([Type.NS, Type.RRSIG, Type.NSEC]);
  expect(authority.filter(({ type }) => type === Type.RRSIG).flatMap(({ rdata }) => rdata)).toHaveLength(2);
  // What the inner zone says itself is not signed.
  const own = parseMessage(server.raw(ask({ name: "www.child.example.com", edns: 1232, dnssecOk: true })));
  expect([own.answers.map((s) => s.type), own.authority]).toEqual([[Type.A], []]);
});
