import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Type } from "../../protocols/dns/numbers.ts";
import { type ParsedSet, parseMessage } from "../../protocols/dns/testing.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "./testing.ts";

const services = [aService("shop", { dns: { ttl: "30s" } }), aService("near", { nearest: true })];
const backends = [aBackend(0, "192.0.2.1"), aBackend(1, "192.0.2.2"), aBackend(2, "2001:db8::1")];
const placed = [aBackend(0, "192.0.2.1", { tags: ["eu"] }), aBackend(1, "192.0.2.2")];
const snapshots = [aSnapshot("shop", backends), aSnapshot("near", placed)];
const records = [
  "shop HTTPS 1 . alpn=h2 ipv4hint=203.0.113.9 ipv6hint=auto",
  "near HTTPS 1 . ipv4hint=auto",
  "plain HTTPS 1 . alpn=h2 ipv4hint=203.0.113.9",
  "plain A 192.0.2.50",
  "auto HTTPS 1 mail alpn=h2 ipv4hint=auto ipv6hint=auto",
  "mail A 192.0.2.60",
  "bare HTTPS 1 elsewhere.example.net. alpn=h2 ipv4hint=auto",
  "far HTTPS 1 elsewhere.example.net. alpn=h2 ipv4hint=203.0.113.7",
  "@ HTTPS 0 shop",
  "off HTTPS 0 .",
];
const more = { zones: { "example.com": { records } }, places: { eu: { networks: ["198.51.100.0/24"] } } };
const server = aServer(services, snapshots, more);
const keys = mkdtempSync(join(tmpdir(), "sluice-keys-"));
afterAll(() => rmSync(keys, { recursive: true }));

/** Hints of the only record of an answer, as text; and the types with owners beside it. */
function told(name: string, from = server, client = "192.0.2.9", dnssecOk = false) {
  const message = parseMessage(from.raw(ask({ name, type: "HTTPS", edns: 1232, dnssecOk }), client));
  const set = message.answers.find(({ type }) => type === Type.HTTPS)!;
  const rdata = set.rdata[0]!;
  const hints: Record<number, string[]> = {};
  let at = 2;
  while (rdata[at] !== 0) at += rdata[at]! + 1;
  for (at++; at < rdata.length; ) {
    const [key, size] = [(rdata[at]! << 8) | rdata[at + 1]!, (rdata[at + 2]! << 8) | rdata[at + 3]!];
    const each = key === 4 ? 4 : key === 6 ? 16 : size;
    const value = Buffer.from(rdata.subarray(at + 4, at + 4 + size));
    hints[key] = Array.from({ length: size / each }, (_, i) => {
      const part = value.subarray(i * each, (i + 1) * each);
      return key === 4 ? part.join(".") : part.toString("hex");
    });
    at += 4 + size;
  }
  const beside = message.additional.map((s: ParsedSet) => `${s.owner} ${s.type} ${s.rdata.length}`);
  return { hints, beside, ttl: set.ttl, types: message.answers.map((s) => s.type) };
}
const SIX = "20010db8000000000000000000000001";

describe("svcb.hints: the hints of a record", () => {
  test("about a service are its addresses now, whatever was written; they go when it has none", () => {
    expect(told("shop.example.com").hints[4]!.sort()).toEqual(["192.0.2.1", "192.0.2.2"]);
    expect(told("shop.example.com")).toMatchObject({ hints: { 6: [SIX] }, ttl: 30 });
    const down = backends.map((b, i) => (i === 1 ? b : { ...b, state: "down" as const }));
    server.change(aSnapshot("shop", down, 2));
    expect(told("shop.example.com").hints).toEqual({ 1: expect.anything(), 4: ["192.0.2.2"] } as never);
    server.change(aSnapshot("shop", backends, 3));
    expect(told("shop.example.com").hints[4]).toHaveLength(2);
  });

  test("stand in the order of the answers: each first in turn", () => {
    const firsts = Array.from({ length: 40 }, () => told("shop.example.com").hints[4]![0]);
    expect(firsts.filter((a) => a === "192.0.2.1")).toHaveLength(20);
  });

  test("are those of the client's place", () => {
    expect(told("near.example.com", server, "198.51.100.7").hints).toEqual({ 4: ["192.0.2.1"] });
    expect(told("near.example.com", server, "203.0.113.7").hints[4]).toHaveLength(2);
  });

  test("about other names: as written, auto from the zones or left out", () => {
    expect(told("plain.example.com").hints[4]).toEqual(["203.0.113.9"]);
    expect(told("auto.example.com").hints).toMatchObject({ 4: ["192.0.2.60"] });
    expect(Object.keys(told("auto.example.com").hints)).toEqual(["1", "4"]);
    expect(Object.keys(told("bare.example.com").hints)).toEqual(["1"]);
    expect(told("far.example.com").hints[4]).toEqual(["203.0.113.7"]);
  });

  test("are signed, every set of them", () => {
    const signed = aServer(services, snapshots, { ...more, dnssec: { keys } });
    const before = signed.room!.made;
    for (let i = 0; i < 10; i++)
      expect(told("shop.example.com", signed, "192.0.2.9", true).types).toContain(Type.RRSIG);
    // One set of hints, and the addresses beside it: in one order, whatever the turn.
    expect(signed.room!.made - before).toBe(3);
  });

  test("are a static view in transfers", () => {
    const sets = [...server.site.contents(server.site.zones[0]!)].filter((s) => s.type === Type.HTTPS);
    const shop = sets.find((s) => Buffer.from(s.owner).includes("shop"))!;
    expect((shop.rdata[0]!.at(-1) as Uint8Array).length).toBeGreaterThan(20);
  });
});

test("svcb.additional: the target's addresses stand beside the answer, as far as there is room", () => {
  expect(told("shop.example.com").beside).toEqual(["shop.example.com 1 2", "shop.example.com 28 1"]);
  expect(told("example.com").beside).toEqual(["shop.example.com 1 2", "shop.example.com 28 1"]);
  expect(told("auto.example.com").beside).toEqual(["mail.example.com 1 1"]);
  expect(told("off.example.com").beside).toEqual([]);
  // Of the very name, and static: whoever asks for HTTPS asks for A and AAAA too.
  expect(told("plain.example.com").beside).toEqual([]);
  const many = Array.from({ length: 70 }, (_, i) => aBackend(i, `192.0.2.${i}`));
  const wide = aServer([services[0]!], [aSnapshot("shop", many)], more);
  expect(told("shop.example.com", wide).beside).toEqual([]);
  expect(told("shop.example.com", wide).hints[4]).toHaveLength(8);
});
