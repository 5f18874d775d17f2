import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Backend } from "../../core/backend.ts";
import type { Service } from "../../core/service.ts";
import { eligibleIds, type Snapshot } from "../../core/snapshot.ts";
import type { Place } from "../../geo/places.ts";
import { compile } from "./compile.ts";
import { likelyCount, likelySets } from "./likely.ts";
import type { DnsOptions } from "./options.ts";
import { planOf } from "./steering/plan.ts";
import { aBackend, aService } from "./testing.ts";
import { sharesOf } from "./xdp/trees.ts";

const backend = fc.record({
  state: fc.constantFrom<Backend["state"]>("up", "down", "unchecked", "draining", "maintenance"),
  weight: fc.integer({ min: 0, max: 2 }),
  tier: fc.integer({ min: 0, max: 1 }),
  v6: fc.boolean(),
});
const backends = fc
  .array(backend, { minLength: 1, maxLength: 5 })
  .map((all) =>
    all.map(({ v6, ...more }, i): Backend => ({ ...aBackend(i, v6 ? `2001:db8::${i}` : `192.0.2.${i}`), ...more })),
  );
const dns = fc.record({
  answers: fc.constantFrom(1, 32),
  ttl: fc.constantFrom<unknown>("30s", { min: "5s", max: "60s" }),
  empty: fc.constantFrom<unknown>("all", "nodata", { fallback: ["192.0.2.99"] }),
});
const whole = (all: Backend[], steady: boolean): Snapshot => ({
  service: "shop",
  revision: 1,
  generation: 1,
  backends: all,
  eligible: eligibleIds(all),
  outlook: { soonest: 20_000, steady },
});
/** As a check would have it, or the end of an operator's word. */
const otherwise = (one: Backend): Backend =>
  one.state === "unchecked" ? one : { ...one, state: one.state === "up" ? "down" : "up" };
const foreseenOf = (service: Service<DnsOptions>, snapshot: Snapshot): Set<string> =>
  new Set([...likelySets(service, snapshot, places)].flat().map(({ ttl, addresses }) => textOf(ttl, addresses)));
const places: Place[] = [
  { name: "east", order: ["east", "west"] },
  { name: "west", order: ["west"] },
];
const textOf = (ttl: number, addresses: readonly string[]): string => `${ttl} ${[...addresses].sort()}`;

test("whatever a check says next of one backend, the sets that are answered then were foreseen", () => {
  fc.assert(
    fc.property(backends, dns, fc.boolean(), fc.boolean(), fc.nat(), (all, options, before, after, which) => {
      const service = aService("shop", { dns: options });
      const foreseen = foreseenOf(service, whole(all, before));
      const changed = all.map((one, i): Backend => {
        return i === which % all.length ? otherwise(one) : one;
      });
      for (const next of [all, changed]) {
        const { ttl, most, v4, v6 } = compile(service, whole(next, after));
        for (const addresses of [v4, v6].map((targets) => targets.map(({ address }) => address))) {
          const answers = most === 1 ? addresses.map((one) => [one]) : addresses.length > 0 ? [addresses] : [];
          for (const answer of answers) expect(foreseen).toContain(textOf(ttl, answer));
        }
      }
    }),
  );
});

test("of groups too: whatever becomes of one backend, what any client is given then was foreseen", () => {
  const tags = fc.subarray(["east", "west"], { minLength: 1 });
  const tagged = fc.array(fc.tuple(backend, tags), { minLength: 1, maxLength: 6 }).map((all) =>
    all.map(([{ v6, ...more }, own], i): Backend => {
      return { ...aBackend(i, v6 ? `2001:db8::${i}` : `192.0.2.${i}`), ...more, tags: own };
    }),
  );
  const by = fc.constantFrom("failover", "weighted", "hash", "nearest");
  const inner = fc.record({ tag: fc.constantFrom("east", "west"), by, groups: fc.constant(["west", "east"]) });
  const nest = fc.record({
    by,
    groups: fc.uniqueArray(fc.oneof(fc.constantFrom("east", "west"), inner), { minLength: 1 }),
  });
  fc.assert(
    fc.property(tagged, nest, fc.constantFrom(0, 60), fc.nat(), (all, steer, upThreshold, which) => {
      const service = aService("shop", { dns: { steer, upThreshold, ttl: {} } });
      const foreseen = foreseenOf(service, whole(all, true));
      const next = whole(
        all.map((one, i) => (i === which % all.length ? otherwise(one) : one)),
        false,
      );
      for (const client of [0, 1, 2])
        for (const { leaf } of (["v4", "v6"] as const).flatMap((kind) =>
          sharesOf(planOf(service, next, places), kind, client - 1, 2),
        )) {
          const { ttl, v4, v6 } = compile(service, leaf.snapshot);
          for (const some of [v4, v6])
            if (some.length > 0)
              expect(foreseen).toContain(
                textOf(
                  ttl,
                  some.map(({ address }) => address),
                ),
              );
        }
    }),
  );
});

test("with thousands of backends no step takes long, and their number is told before", () => {
  const all = Array.from({ length: 2000 }, (_, i) =>
    aBackend(i, `192.0.${i >> 8}.${i & 255}`, { tags: [i % 2 ? "east" : "west"] }),
  );
  const groups = ["east", "west"];
  const dns = { answers: 1, ttl: {}, steer: { by: "weighted", groups } };
  const service = aService("shop", { dns, backends: all.map((one) => ({ ...one, admin: "ready" })) });
  expect(likelyCount(service)).toBe(2 * (2001 + 2002));
  const steps = likelySets(service, whole(all, true), places);
  expect([steps.next().value!.length, steps.next().value!.length, steps.next().value!.length]).toEqual([
    1000, 1000, 1000,
  ]);
});

test("each set stands once, and of some among many nothing is foreseen", () => {
  const all = [1, 2, 3].map((i) => aBackend(i, `192.0.2.${i}`));
  const count = (options: object): number => foreseenOf(aService("shop", { dns: options }), whole(all, true)).size;
  expect(count({ ttl: "30s", answers: 32 })).toBe(4);
  expect(count({ ttl: { min: "5s", max: "60s" }, answers: 32 })).toBe(8);
  expect(count({ ttl: "30s", answers: 1 })).toBe(3);
  // Two of three, in any pairing; and once one is dead the pair that is left.
  expect(count({ ttl: "30s", answers: 2 })).toBe(3);
});
