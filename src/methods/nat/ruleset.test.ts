import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Backend } from "../../core/backend.ts";
import { aBackend } from "../../core/testing.ts";
import { schedulers } from "../../schedulers/list.ts";
import type { NatService } from "./compile.ts";
import { refreshedService, wholeTable } from "./ruleset.ts";
import { fillSlots, hashSeed, slotCount } from "./slots.ts";

const backend = (id: number, weight = 1, state: Backend["state"] = "up"): Backend =>
  aBackend(id, `10.0.1.${id + 1}`, 8000, { weight, state });

const service = (name: string, backends: Backend[]): NatService => ({
  name,
  seed: 7,
  engine: "nftables",
  helper: null,
  masquerade: false,
  hairpin: false,
  vips: [{ address: "125.12.12.12", port: 80, protocol: "tcp" }],
  backends,
  eligible: backends.filter(({ state, weight }) => state === "up" && weight > 0).map(({ id }) => id),
  scheduler: { name: "maglev", options: { slots: 16381 } },
});

const maglev = schedulers.find(({ name }) => name === "maglev")!;
const elements = (text: string): string[] =>
  text.split("\n").flatMap((line) => /^add element inet \S+ (.*)/.exec(line)?.[1] ?? []);
const rules = (text: string): string[] => text.split("\n").filter((line) => line.startsWith("add rule"));

test("the rules of one service, whole", () => {
  const one = service("web", [backend(0), backend(1, 1, "maintenance")]);
  const text = wholeTable("sluice-t", [{ service: one, slots: [0, 0, 0], spread: "source" as const }], null);
  const flow = "ct original ip daddr . meta l4proto . ct original proto-dst . ct reply ip saddr . ct reply proto-src";
  expect(rules(text)).toEqual([
    "add rule inet sluice-t s.web.0 counter name n.web.0.new meta l4proto { tcp, udp } dnat ip to 10.0.1.1:8000",
    "add rule inet sluice-t f.web.0 ct direction original counter name n.web.0.in",
    "add rule inet sluice-t f.web.0 ct direction reply counter name n.web.0.out",
    "add rule inet sluice-t s.web.1 counter name n.web.1.new meta l4proto { tcp, udp } dnat ip to 10.0.1.2:8000",
    "add rule inet sluice-t f.web.1 ct direction original meta l4proto tcp reject with tcp reset",
    "add rule inet sluice-t f.web.1 ct direction original reject",
    "add rule inet sluice-t f.web.1 ct direction reply counter name n.web.1.out",
    `add rule inet sluice-t s.web jhash ip saddr mod 3 seed 0x${hashSeed(one).toString(16)} vmap { 0 : goto s.web.0, 1 : goto s.web.0, 2 : goto s.web.0 }`,
    "add rule inet sluice-t arriving ip daddr . meta l4proto . th dport vmap @vips4",
    "add rule inet sluice-t own ip daddr . meta l4proto . th dport vmap @vips4",
    `add rule inet sluice-t through meta l4proto tcp ${flow} vmap @flows4`,
  ]);
  expect(elements(text)).toEqual([
    "vips4 { 125.12.12.12 . tcp . 80 : goto s.web }",
    "flows4 { 125.12.12.12 . tcp . 80 . 10.0.1.1 . 8000 : goto f.web.0 }",
    "flows4 { 125.12.12.12 . tcp . 80 . 10.0.1.2 . 8000 : goto f.web.1 }",
  ]);
});

test("listeners of each tier have a map of their own, asked in turn; once one is masked, each says whether it is", () => {
  const vip = { address: "125.12.12.12", protocol: "tcp" as const };
  const bare = { ...backend(0), port: null };
  const all = [
    { ...service("rest", [backend(0)]), vips: [{ ...vip, port: 1, last: 65_535 }], masquerade: true },
    { ...service("streams", [bare]), vips: [{ ...vip, port: 8000, last: 8100 }] },
    service("shop", [bare]),
  ].map((one) => ({ service: one, slots: [0], spread: "flow" as const }));
  const text = wholeTable("t", all, null);
  expect(elements(text)).toEqual([
    "vips4.every { 125.12.12.12 . tcp . 1-65535 : goto s.rest }",
    "masks4.every { 125.12.12.12 . tcp . 1-65535 : goto m.rest }",
    "flows4.every { 125.12.12.12 . tcp . 1-65535 . 10.0.1.1 . 8000 : goto f.rest.0 }",
    "vips4.range { 125.12.12.12 . tcp . 8000-8100 : goto s.streams }",
    "masks4.range { 125.12.12.12 . tcp . 8000-8100 : goto m.streams }",
    "flows4.range { 125.12.12.12 . tcp . 8000-8100 . 10.0.1.1 . 8000-8100 : goto f.streams.0 }",
    "vips4 { 125.12.12.12 . tcp . 80 : goto s.shop }",
    "masks4 { 125.12.12.12 . tcp . 80 : goto m.shop }",
    "flows4 { 125.12.12.12 . tcp . 80 . 10.0.1.1 . 80 : goto f.shop.0 }",
  ]);
  const asked = (chain: string): string[] =>
    rules(text).flatMap((rule) => (rule.startsWith(`add rule inet t ${chain} `) ? [/@\S+/.exec(rule)![0]] : []));
  expect(asked("arriving")).toEqual(["@vips4", "@vips4.range", "@vips4.every"]);
  expect(asked("through")).toEqual(["@flows4", "@flows4.range", "@flows4.every"]);
  expect(asked("leaving")).toEqual(["@masks4", "@masks4.range", "@masks4.every"]);
  expect(rules(text).filter((rule) => rule.includes(" m."))).toEqual(["add rule inet t m.rest masquerade"]);
});

test("what the table holds and nobody asks for goes; counters that stay are not touched", () => {
  const there = {
    chains: ["arriving", "helpers", "s.old", "f.old.0", "s.web"],
    maps: ["vips4", "in.tcp4"],
    sets: ["cut.tcp4"],
    helpers: [],
    counters: [
      { name: "n.old.0.in", packets: 1, bytes: 1 },
      { name: "n.web.0.in", packets: 1, bytes: 1 },
    ],
  };
  const text = wholeTable("t", [{ service: service("web", [backend(0)]), slots: [0], spread: "flow" as const }], there);
  expect(text.split("\n").filter((line) => /^delete /.test(line))).toEqual([
    "delete map inet t in.tcp4",
    "delete set inet t cut.tcp4",
    "delete chain inet t helpers",
    "delete chain inet t s.old",
    "delete chain inet t f.old.0",
    "delete counter inet t n.old.0.in",
  ]);
});

test("a refresh names no other service and no base chain", () => {
  const text = refreshedService("t", { service: service("web", [backend(0)]), slots: [], spread: "flow" as const });
  expect(text).toContain("add rule inet t s.web counter name n.web.none drop");
  for (const word of ["arriving", "through", "vips4", "flush table"]) expect(text).not.toContain(word);
});

test("slots: everyone eligible and nobody else, in proportion to weights", () => {
  const weights = fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 1, maxLength: 24 });
  fc.assert(
    fc.property(weights, fc.integer({ min: 0, max: 0xffffffff }), (list, seed) => {
      const one = {
        ...service(
          "web",
          list.map((weight, id) => backend(id, weight)),
        ),
        seed,
      };
      const slots = fillSlots(one, maglev);
      const total = list.reduce((sum, weight) => sum + weight, 0);
      expect(slots).toHaveLength(total === 0 ? 0 : slotCount(one.eligible.length));
      for (const [id, weight] of list.entries()) {
        const share = slots.filter((slot) => slot === id).length;
        const due = total === 0 ? 0 : (slots.length * weight) / total;
        expect(Math.abs(share - due)).toBeLessThanOrEqual(Math.max(2, due * 0.1));
      }
    }),
    { numRuns: 60 },
  );
});

test("the seed of a service is never 0, which nft takes as its own choice", () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 0, max: 0xffffffff }), (name, seed) => {
      expect(hashSeed({ name, seed })).toBeGreaterThan(0);
    }),
  );
});
