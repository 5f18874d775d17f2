import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Backend } from "../../core/backend.ts";
import { eligibleIds, type Snapshot } from "../../core/snapshot.ts";
import { compile } from "./compile.ts";
import { likelySets } from "./likely.ts";
import { aBackend, aService } from "./testing.ts";

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
const textOf = (ttl: number, addresses: readonly string[]): string => `${ttl} ${[...addresses].sort()}`;

test("whatever a check says next of one backend, the sets that are answered then were foreseen", () => {
  fc.assert(
    fc.property(backends, dns, fc.boolean(), fc.boolean(), fc.nat(), (all, options, before, after, which) => {
      const service = aService("shop", { dns: options });
      const foreseen = new Set(
        likelySets(service, whole(all, before)).map(({ ttl, addresses }) => textOf(ttl, addresses)),
      );
      const changed = all.map((one, i): Backend => {
        if (i !== which % all.length || (one.state !== "up" && one.state !== "down")) return one;
        return { ...one, state: one.state === "up" ? "down" : "up" };
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

test("each set stands once, and of some among many nothing is foreseen", () => {
  const all = [1, 2, 3].map((i) => aBackend(i, `192.0.2.${i}`));
  const count = (options: object): number => likelySets(aService("shop", { dns: options }), whole(all, true)).length;
  expect(count({ ttl: "30s", answers: 32 })).toBe(4);
  expect(count({ ttl: { min: "5s", max: "60s" }, answers: 32 })).toBe(8);
  expect(count({ ttl: "30s", answers: 1 })).toBe(3);
  // Two of three, in any pairing; and once one is dead the pair that is left.
  expect(count({ ttl: "30s", answers: 2 })).toBe(3);
});
