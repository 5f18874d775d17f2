import { expect, test } from "bun:test";
import packet from "dns-packet";
import { fuzzDns } from "./fuzz.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "./testing.ts";

/** A fixed sequence: a fault is seen again by the next run. */
function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

test("answer.all: 20,000 mutated queries: every one is answered by the rules, none throws", () => {
  const result = fuzzDns(20_000, sequence(1));
  expect(result.faults).toEqual([]);
  expect(result.answered).toBeGreaterThan(10_000);
  expect(Object.keys(result.rcodes).sort()).toEqual(["0", "1", "16", "3", "4", "5", "9"]);
  expect(Math.min(result.sealed, result.keyed, result.transfers)).toBeGreaterThan(20);
});

test("answers to random good questions decode, and hold the question", () => {
  const random = sequence(2);
  const services = [aService("shop")];
  const s = aServer(services, [aSnapshot("shop", [aBackend(0, "192.0.2.1"), aBackend(1, "2001:db8::1")])]);
  const letters = "abcXYZ019-_";
  for (let i = 0; i < 2000; i++) {
    const label = Array.from({ length: 1 + Math.floor(random() * 20) }, () => letters[Math.floor(random() * 11)]).join(
      "",
    );
    const name = random() < 0.3 ? "sHop.example.com" : `${label}.example.com`;
    const type = ["A", "AAAA", "MX", "SOA", "ANY", "SRV"][i % 6]!;
    const got = packet.decode(Buffer.from(s.raw(ask({ name, type, edns: i % 2 ? 1232 : undefined }))));
    expect(got.questions).toEqual([{ name, type, class: "IN" }]);
  }
});
