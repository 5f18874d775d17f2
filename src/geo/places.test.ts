import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Backend } from "../core/backend.ts";
import { eligibleIds, type Snapshot } from "../core/snapshot.ts";
import { withMmdb } from "./mmdb-testing.ts";
import { nearest } from "./nearest.ts";
import { Atlas } from "./places.ts";
import { geo, places } from "./schema.ts";

const byLand = places.parse({
  eu: { continents: ["EU"] },
  de: { countries: ["de"] },
  us: { networks: ["198.51.100.0/24", "2001:db8::/32"] },
});

test("an atlas: a written network before a country before a continent; the country of an address", () => {
  withMmdb(
    [
      { prefix: "198.51.0.0/16", country: "DE", continent: "EU" },
      { prefix: "203.0.0.0/16", country: "FR", continent: "EU" },
    ],
    (file) => {
      const atlas = new Atlas({ places: byLand, geo: geo.parse(file) });
      const names = ["198.51.7.1", "203.0.7.1", "198.51.100.1", "2001:db8::1", "192.0.2.1"].map(
        (address) => atlas.places[atlas.placeOf(address)]?.name,
      );
      expect(names).toEqual(["de", "eu", "us", "us", undefined]);
      expect(["198.51.100.1", "203.0.7.1", "192.0.2.1", "2001:db8::1"].map((a) => atlas.countryOf(a))).toEqual([
        "DE",
        "FR",
        "",
        "",
      ]);
    },
  );
  expect(new Atlas({ places: {} }).placeOf("192.0.2.1")).toBe(-1);
  expect(new Atlas({ places: {} }).countryOf("192.0.2.1")).toBe("");
});

const someBackends = fc.array(
  fc.record({
    tags: fc.uniqueArray(fc.constantFrom("a", "b", "c")),
    tier: fc.nat(2),
    state: fc.constantFrom("up" as const, "down" as const, "draining" as const),
  }),
  { maxLength: 8 },
);

test("nearest: the first place of the order that has somebody eligible, and nobody else; else all", () => {
  fc.assert(
    fc.property(someBackends, fc.uniqueArray(fc.constantFrom("a", "b", "c")), (some, order) => {
      const backends: Backend[] = some.map((more, id) => ({
        id,
        address: `192.0.2.${id}`,
        port: null,
        weight: 1,
        load: null,
        ...more,
      }));
      const snapshot: Snapshot = {
        service: "s",
        revision: 1,
        generation: 1,
        backends,
        eligible: eligibleIds(backends),
      };
      const { place, snapshot: part } = nearest(snapshot, order.length === 0 ? undefined : { name: order[0]!, order });
      const able = (name: string): boolean => backends.some((b) => b.state === "up" && b.tags.includes(name));
      expect(place).toBe(order.find(able) ?? null);
      if (place === null) expect(part).toBe(snapshot);
      else {
        expect(part.eligible.length).toBeGreaterThan(0);
        for (const id of part.eligible) expect(backends[id]!.tags).toContain(place);
      }
    }),
  );
});
