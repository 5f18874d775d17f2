import { expect, test } from "bun:test";
import { explain } from "./explain.ts";
import { aBackend, aService, aSnapshot, someGeography, someSettings } from "./testing.ts";

const shop = aService("shop", { nearest: true, dns: { ttl: { min: "2s", max: "1m" } } });
const star = aService("star", { names: ["*.wild.example.com"], dns: { empty: "servfail" } });
const settings = someSettings({
  zones: { "example.com": { records: ["www CNAME shop", "old DNAME new", "sub NS ns.far.net.", "mail A 192.0.2.25"] } },
});
const geography = someGeography({
  places: { east: { networks: ["198.51.100.0/24"], next: ["west"] }, west: { networks: ["203.0.113.0/24"] } },
});
const backends = [
  aBackend(0, "192.0.2.10", { tags: ["east"], state: "down" }),
  aBackend(1, "192.0.2.20", { tags: ["west"], weight: 2 }),
  aBackend(2, "192.0.2.21", { tags: ["west"], tier: 1 }),
  aBackend(3, "192.0.2.30", { state: "draining" }),
  aBackend(4, "2001:db8::1"),
];
const snapshots = [
  { ...aSnapshot("shop", backends), outlook: { soonest: 6000, steady: true } },
  aSnapshot("star", [aBackend(0, "192.0.2.1", { state: "down" })]),
];
const told = (question: Record<string, string>): string[] => {
  const said = explain({ services: [shop, star], snapshots, settings, geography, seed: 1 }, question);
  if (!said.ok) return said.problems.map((p) => p.message);
  return said.value.map((line) => line.trim());
};

test("an alias, a place that has nobody, each backend, the time to live", () => {
  expect(told({ name: "www.example.com", from: "198.51.100.7" })).toEqual([
    "www.example.com A for 198.51.100.7",
    "www.example.com is an alias of shop.example.com, for 3600 s.",
    'shop.example.com is answered by the service "shop".',
    '198.51.100.7 is in "east" (by its first 24 bits); order: east, west.',
    "Groups, nearest:",
    '"east": 0 of 1 up, failed',
    '"west": 2 of 2 up',
    'Answered: "west".',
    "192.0.2.10 down: of another group",
    "192.0.2.20 up, weight 2: answered",
    "192.0.2.21 up: tier 1, while a lower one has somebody",
    "192.0.2.30 draining: of another group",
    "2001:db8::1 up: of another group",
    "1 of 1 address, in the order of weighted-round-robin.",
    "To be kept for 6 s: checks could change it in 6 s at the soonest.",
  ]);
});

test("an end of an operator's word that is nearer than the next change by checks", () => {
  const near = { ...snapshots[0]!, outlook: { soonest: 20_000, steady: true, word: 16_000 } };
  const said = explain(
    { services: [shop], snapshots: [near], settings, geography, seed: 1 },
    { name: "shop.example.com" },
  );
  expect(said.ok && said.value.at(-1)!.trim()).toBe(
    "To be kept for 16 s: an operator's word ends in 16 s at the soonest.",
  );
});

test("groups inside groups: which have failed, why, and how often each is answered", () => {
  const steered = aService("shop", {
    dns: {
      steer: {
        by: "failover",
        groups: [
          { tag: "east", upThreshold: 50 },
          { tag: "west", by: "weighted", groups: [{ tag: "a", weight: 3 }, "b"] },
        ],
      },
    },
  });
  const some = [
    aBackend(0, "192.0.2.10", { tags: ["east"], state: "down" }),
    aBackend(1, "192.0.2.11", { tags: ["east"], state: "down" }),
    aBackend(2, "192.0.2.12", { tags: ["east"] }),
    aBackend(3, "192.0.2.20", { tags: ["west", "a"] }),
    aBackend(4, "192.0.2.21", { tags: ["west", "b"] }),
  ];
  const state = { services: [steered], snapshots: [aSnapshot("shop", some)], settings, geography, seed: 1 };
  const said = explain(state, { name: "shop.example.com", from: "192.0.2.9" });
  expect(said.ok && said.value.slice(2)).toEqual([
    "  Groups, failover:",
    '    "east": 1 of 3 up, 50 % needed, failed',
    '    "west": 2 of 2 up; weighted:',
    '      "a": 1 of 1 up',
    '      "b": 1 of 1 up',
    '  Answered, one at a time: "west/a" 75 %, "west/b" 25 %.',
    "    192.0.2.10 down: of another group",
    "    192.0.2.11 down: of another group",
    "    192.0.2.12 up: of another group",
    "    192.0.2.20 up, weight 1: answered",
    "    192.0.2.21 up, weight 1: answered",
    '  1 of 1 address of "west/a", in the order of weighted-round-robin.',
    '  1 of 1 address of "west/b", in the order of weighted-round-robin.',
    "  To be kept for 30 s: as configured.",
  ]);
});

test("by latency and by load the figures stand beside the groups", () => {
  const some = [
    aBackend(0, "192.0.2.10", { tags: ["east"], latency: 12.34, load: 0.8 }),
    aBackend(1, "192.0.2.20", { tags: ["west"], latency: 3, load: 0.4 }),
  ];
  const by = (policy: string): string[] => {
    const one = aService("shop", { dns: { steer: { by: policy, groups: ["east", "west"] } } });
    const state = { services: [one], snapshots: [aSnapshot("shop", some)], settings, geography, seed: 1 };
    const said = explain(state, { name: "shop.example.com" });
    return said.ok ? said.value.slice(3, 6).map((line) => line.trim()) : [];
  };
  expect(by("latency")).toEqual(['"east": 1 of 1 up, 12.3 ms', '"west": 1 of 1 up, 3 ms', 'Answered: "west".']);
  expect(by("load")).toEqual([
    '"east": 1 of 1 up, load 80 %',
    '"west": 1 of 1 up, load 40 %',
    'Answered, one at a time: "east" 25 %, "west" 75 %.',
  ]);
});

test("a group without the kind of address that is asked for is not drawn, and that is said", () => {
  const some = [aBackend(0, "192.0.2.10", { tags: ["east"] }), aBackend(1, "2001:db8::1", { tags: ["west"] })];
  const one = aService("shop", { dns: { steer: { by: "weighted", groups: ["east", "west"] } } });
  const state = { services: [one], snapshots: [aSnapshot("shop", some)], settings, geography, seed: 1 };
  const said = explain(state, { name: "shop.example.com", type: "AAAA" });
  expect(said.ok && said.value.slice(5, 9).map((line) => line.trim())).toEqual([
    'Not drawn, without IPv6 addresses: "east".',
    'Answered: "west".',
    "192.0.2.10 up: of another group",
    "2001:db8::1 up, weight 1: answered",
  ]);
});

test("a network, no place, the other kind of address", () => {
  const lines = told({ name: "shop.example.com", type: "AAAA", from: "10.0.0.0/8" });
  expect(lines[2]).toContain("10.0.0.0/8 is in no place");
  expect(lines).toContain("2001:db8::1 up, weight 1: answered");
  expect(lines).toContain("192.0.2.20 up: of the other kind of address");
});

test.each([
  ["x.wild.example.com", "SERVFAIL: nobody is eligible"],
  ["mail.example.com", "has 1 A of its zone"],
  ["wild.example.com", "exists, without A: NODATA"],
  ["nobody.example.com", "NXDOMAIN"],
  ["a.sub.example.com", "a referral to ns.far.net"],
  ["a.old.example.com", "a.new.example.com does not exist"],
  ["example.org", "REFUSED"],
])("%s: %s", (name, end) => expect(told({ name }).at(-1)).toContain(end));

test("a wildcard is named, wrong questions are refused", () => {
  expect(told({ name: "x.wild.example.com" })[1]).toContain("by the wildcard right below wild.example.com");
  expect(told({ name: "a..b" })[0]).toContain("not a domain name");
  expect(told({ name: "example.com", type: "NOPE" })[0]).toContain("not a type");
  expect(told({ name: "example.com", from: "here" })[0]).toContain("not an address");
});
