import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packet from "dns-packet";
import fc from "fast-check";
import type { Backend } from "../../../core/backend.ts";
import type { Place } from "../../../geo/places.ts";
import { aBackend, addressesOf, aServer, aService, aSnapshot, ask } from "../testing.ts";
import { type Plan, planOf } from "./plan.ts";
import type { Group, Nest, Policy } from "./schema.ts";

const places: Place[] = [
  { name: "a", order: ["a", "b"] },
  { name: "c", order: ["c"] },
];

/** The plain model: who may be answered, by group, to a client of a place; what a reader of the document would do by hand. */
function model(nest: Nest, backends: readonly Backend[], threshold: number, place: string | null): string[] {
  const up = (b: Backend): boolean => b.state === "up" && b.weight > 0;
  const there = (b: Backend): boolean => b.state !== "draining" && b.weight > 0;
  const members = (group: Group, around: readonly Backend[]): Backend[] =>
    around.filter((b) => group.tag === undefined || b.tags.includes(group.tag));
  const good = (group: Group, around: readonly Backend[], least: number): boolean => {
    const own = members(group, around);
    const needed = least < 0 ? -1 : (group.upThreshold ?? least);
    const alive = own.filter(up).length;
    if (alive === 0 || (needed >= 0 && alive / own.filter(there).length < needed / 100)) return false;
    return !group.groups || group.groups.some((one) => good(one, own, needed));
  };
  const best = (own: readonly Backend[]): string => {
    const tier = Math.min(...own.filter(up).map((b) => b.tier));
    return own.flatMap((b) => (up(b) && b.tier === tier ? [b.id] : [])).join();
  };
  const choose = (by: Policy, groups: readonly Group[], around: readonly Backend[], least: number): string[] => {
    const left = groups.filter((group) => good(group, around, least));
    const order = places.find(({ name }) => name === place)?.order ?? [];
    const near = order.flatMap((name) => left.filter(({ tag }) => tag === name))[0];
    const time = (group: Group): number => {
      const own = members(group, around);
      const tier = Math.min(...own.filter(up).map((b) => b.tier));
      const some = own.filter((b) => up(b) && b.tier === tier && b.latency !== undefined);
      return some.length === 0 ? 1e9 : some.reduce((sum, b) => sum + b.latency!, 0) / some.length;
    };
    const fast = left.find((group) => time(group) <= 1.25 * Math.min(...left.map(time)));
    const taken =
      by === "latency" ? [fast!] : by === "failover" ? left.slice(0, 1) : by === "nearest" ? [near ?? left[0]!] : left;
    return taken.flatMap((group) => {
      const own = members(group, around);
      const needed = least < 0 ? -1 : (group.upThreshold ?? least);
      return group.by ? choose(group.by, group.groups!, own, needed) : [best(own)];
    });
  };
  for (const least of [threshold, -1])
    if (nest.groups.some((group) => good(group, backends, least))) return choose(nest.by, nest.groups, backends, least);
  return [best(backends)];
}

function leaves(plan: Plan, place: string | null): string[] {
  if (plan.kind === "leaf") return [plan.snapshot.eligible.join()];
  if (plan.kind === "place") {
    const number = places.findIndex(({ name }) => name === place);
    return leaves(plan.parts[number < 0 ? plan.parts.length - 1 : number]!, place);
  }
  expect(plan.weights.every((weight) => weight > 0)).toBe(true);
  return plan.parts.flatMap((part) => leaves(part, place));
}

const tags = ["a", "b", "c", "d"];
const someBackends = fc
  .array(
    fc.record({
      state: fc.constantFrom("up" as const, "down" as const, "draining" as const),
      weight: fc.constantFrom(0, 1, 3),
      tier: fc.constantFrom(0, 0, 1),
      tags: fc.subarray(tags),
      latency: fc.constantFrom(undefined, 1, 1.2, 2, 20),
    }),
    { maxLength: 9 },
  )
  .map((all) => all.map((more, id) => aBackend(id, `192.0.2.${id}`, more as Partial<Backend>)));
const policy = fc.constantFrom<Policy>("failover", "weighted", "hash", "nearest", "load", "latency");
const groupOf = (depth: number): fc.Arbitrary<Group> => {
  const threshold = fc.option(fc.constantFrom(0, 30, 50, 100), { nil: undefined });
  const leaf = fc.record({
    tag: fc.constantFrom(...tags),
    weight: fc.integer({ min: 1, max: 9 }),
    upThreshold: threshold,
  });
  if (depth === 0) return leaf;
  const inner = fc.record({
    tag: fc.option(fc.constantFrom(...tags), { nil: undefined }),
    weight: fc.constant(1),
    upThreshold: threshold,
    by: policy,
    groups: fc.array(groupOf(depth - 1), { minLength: 1, maxLength: 3 }),
  });
  return fc.oneof(leaf, inner) as fc.Arbitrary<Group>;
};
const someNest = fc.record({ by: policy, groups: fc.array(groupOf(2), { minLength: 1, maxLength: 4 }) });

test("plans are what the plain model says, for any groups, backends and places", () => {
  fc.assert(
    fc.property(
      someNest,
      someBackends,
      fc.constantFrom(0, 50),
      fc.constantFrom("a", "c", null),
      (steer, backends, least, place) => {
        const service = aService("shop", { dns: { upThreshold: least } });
        const plan = planOf(
          { ...service, options: { ...service.options, steer } },
          aSnapshot("shop", backends),
          places,
        );
        expect(leaves(plan, place)).toEqual(model(steer, backends, least, place));
      },
    ),
    { numRuns: 2000 },
  );
});

describe("answers by groups", () => {
  const backends = [
    aBackend(0, "192.0.2.1", { tags: ["east", "blue"] }),
    aBackend(1, "192.0.2.2", { tags: ["east", "green"] }),
    aBackend(2, "192.0.2.3", { tags: ["west"] }),
    aBackend(3, "192.0.2.4", { tags: ["west"] }),
    aBackend(4, "192.0.2.5", { tags: ["west"] }),
  ];
  const without = (...ids: number[]) =>
    backends.map((b) => (ids.includes(b.id) ? { ...b, state: "down" as const } : b));
  const serverOf = (dns: object, more: Record<string, unknown> = {}) =>
    aServer([aService("shop", { dns: { answers: 1, ...dns } })], [aSnapshot("shop", backends)], more);
  const question = ask({ name: "shop.example.com" });
  const counts = (server: ReturnType<typeof serverOf>, many: number, client = "192.0.2.9") => {
    const seen: Record<string, number> = {};
    for (let i = 0; i < many; i++)
      for (const one of addressesOf(server.raw(question, client))) seen[one] = (seen[one] ?? 0) + 1;
    return seen;
  };

  test("weights hold within any run of answers, in groups inside groups too", () => {
    const east = { tag: "east", weight: 3, by: "weighted", groups: [{ tag: "blue", weight: 9 }, "green"] };
    const seen = counts(serverOf({ steer: { by: "weighted", groups: [east, "west"] } }), 4000);
    expect(seen["192.0.2.1"]).toBeWithin(2660, 2740);
    expect(seen["192.0.2.2"]).toBeWithin(280, 320);
    expect(seen["192.0.2.3"]! + seen["192.0.2.4"]! + seen["192.0.2.5"]!).toBeWithin(995, 1006);
  });

  test("a group under its threshold counts as failed, until all are: then who is left is answered", () => {
    const server = serverOf({ upThreshold: 60, steer: { by: "failover", groups: ["west", "east"] } });
    const given = (...down: number[]): string[] => {
      server.change(aSnapshot("shop", without(...down), 2 + down.length));
      return Object.keys(counts(server, 12)).sort();
    };
    expect(given()).toEqual(["192.0.2.3", "192.0.2.4", "192.0.2.5"]);
    expect(given(2)).toEqual(["192.0.2.4", "192.0.2.5"]);
    expect(given(2, 3)).toEqual(["192.0.2.1", "192.0.2.2"]);
    expect(given(2, 3, 1)).toEqual(["192.0.2.5"]);
  });

  test("by hash a network stays where it is while its group is good, and comes back to it", () => {
    const server = serverOf({ steer: { by: "hash", groups: ["blue", "green", "west"] } });
    const of = (i: number) =>
      Object.keys(counts(server, 6, `10.0.${i}.7`))
        .sort()
        .join();
    const clients = Array.from({ length: 120 }, (_, i) => i);
    const west = "192.0.2.3,192.0.2.4,192.0.2.5";
    const before = clients.map(of);
    expect(new Set(before)).toEqual(new Set(["192.0.2.1", "192.0.2.2", west]));
    for (const one of new Set(before)) expect(before.filter((b) => b === one).length).toBeWithin(20, 65);
    server.change(aSnapshot("shop", without(0), 2));
    for (const i of clients) if (before[i] !== "192.0.2.1") expect(of(i)).toBe(before[i]!);
    server.change(aSnapshot("shop", backends, 3));
    expect(clients.map(of)).toEqual(before);
    // Of a /24 all are one client.
    expect(
      Object.keys(counts(server, 6, "10.0.5.200"))
        .sort()
        .join(),
    ).toBe(before[5]!);
  });

  test("by load a group gets the less the busier its backends say they are", () => {
    const server = serverOf({ steer: { by: "load", groups: ["blue", "green"] } });
    const busy = backends.map((b) => ({ ...b, load: b.id === 0 ? 0.9 : b.id === 1 ? 0.2 : null }));
    server.change(aSnapshot("shop", busy, 2));
    expect(counts(server, 900)["192.0.2.1"]).toBeWithin(98, 103);
  });

  test("the fallback addresses, which nobody checks, when nobody is eligible", () => {
    const server = serverOf({
      answers: 4,
      empty: { fallback: ["192.0.2.200", "2001:db8::200"] },
      steer: { by: "failover", groups: ["east", "west"] },
    });
    server.change(aSnapshot("shop", without(0, 1, 2, 3, 4), 2));
    expect(addressesOf(server.raw(question))).toEqual(["192.0.2.200"]);
    expect(addressesOf(server.raw(ask({ name: "shop.example.com", type: "AAAA" })))).toEqual(["2001:db8::200"]);
    expect(server.doors.counts.get("shop/-1/requests")).toBe(2);
    server.change(aSnapshot("shop", without(0), 3));
    expect(addressesOf(server.raw(question))).toEqual(["192.0.2.2"]);
  });

  describe("one kind of address is drawn among the groups that have it", () => {
    const both = [...backends.slice(0, 3), aBackend(5, "2001:db8::5", { tags: ["west"] })];
    const given = (steer: object, snapshot = both) => {
      const server = serverOf({ steer });
      server.change(aSnapshot("shop", snapshot, 2));
      const of = (type: string, client: string) =>
        addressesOf(server.raw(ask({ name: "shop.example.com", type }), client));
      return { of, all: (type: string) => Array.from({ length: 60 }, (_, i) => of(type, `10.0.${i}.7`).join()) };
    };
    const groups = ["east", "west"];

    test.each(["weighted", "hash", "load"])("%s", (by) => {
      const { all } = given({ by, groups });
      expect(new Set(all("AAAA"))).toEqual(new Set(["2001:db8::5"]));
      expect(new Set(all("A"))).toEqual(new Set(["192.0.2.1", "192.0.2.2", "192.0.2.3"]));
    });

    test("in groups inside groups too; what is drawn of the other kind stays as it is", () => {
      const inner = { tag: "east", by: "hash", groups: ["blue", "green"] };
      const before = given({ by: "hash", groups: [inner, "west"] }, backends.slice(0, 3)).all("A");
      const { all } = given({ by: "hash", groups: [inner, "west"] });
      expect(new Set(all("AAAA"))).toEqual(new Set(["2001:db8::5"]));
      expect(all("A")).toEqual(before);
    });

    test("whom an order prefers is not passed over, and what no group has is not there", () => {
      expect(new Set(given({ by: "failover", groups }).all("AAAA"))).toEqual(new Set([""]));
      expect(new Set(given({ by: "weighted", groups }, backends).all("AAAA"))).toEqual(new Set([""]));
      const dead = both.map((b) => (b.id === 5 ? { ...b, state: "down" as const } : b));
      expect(new Set(given({ by: "weighted", groups }, dead).all("AAAA"))).toEqual(new Set([""]));
    });

    test("signed too", () => {
      const keys = mkdtempSync(join(tmpdir(), "sluice-steer-keys-"));
      const server = serverOf({ steer: { by: "weighted", groups } }, { dnssec: { keys } });
      server.change(aSnapshot("shop", both, 2));
      for (let i = 0; i < 8; i++) {
        const aaaa = server.raw(ask({ name: "shop.example.com", type: "AAAA", edns: 1232, dnssecOk: true }));
        expect(packet.decode(Buffer.from(aaaa)).answers!.map(({ type }) => type)).toEqual(["AAAA", "RRSIG"]);
      }
      rmSync(keys, { recursive: true });
    });
  });

  test("signed answers follow the groups", () => {
    const keys = mkdtempSync(join(tmpdir(), "sluice-steer-keys-"));
    const server = serverOf({ steer: { by: "weighted", groups: ["blue", "green"] } }, { dnssec: { keys } });
    const signed = ask({ name: "shop.example.com", edns: 1232, dnssecOk: true });
    const sets = Array.from({ length: 8 }, () => packet.decode(server.raw(signed)).answers!);
    for (const set of sets) expect(set.map(({ type }) => type)).toEqual(["A", "RRSIG"]);
    const addresses = sets.map(([first]) => (first as { data: string }).data);
    expect(new Set(addresses)).toEqual(new Set(["192.0.2.1", "192.0.2.2"]));
    rmSync(keys, { recursive: true });
  });
});
