import { describe, expect, test } from "bun:test";
import { withMmdb } from "../../geo/mmdb-testing.ts";
import { aBackend, addressesOf, aServer, aService, aSnapshot, ask } from "./testing.ts";

const places = {
  eu: { networks: ["198.51.100.0/24", "2001:db8:e::/48"], next: ["us"] },
  us: { networks: ["203.0.113.0/24"], next: ["eu"] },
};
const service = aService("shop", { nearest: true, dns: { answers: 1 } });
const all = [
  aBackend(0, "192.0.2.10", { tags: ["eu"] }),
  aBackend(1, "192.0.2.11", { tags: ["eu"], tier: 1 }),
  aBackend(2, "192.0.2.20", { tags: ["us"] }),
  aBackend(3, "192.0.2.99"),
  aBackend(4, "2001:db8::10", { tags: ["eu"] }),
];
const down = (...ids: number[]) => all.map((b) => (ids.includes(b.id) ? { ...b, state: "down" as const } : b));

describe("nearest", () => {
  const server = aServer([service], [aSnapshot("shop", all)], {
    places,
    zones: { "example.com": { records: "w CNAME shop" } },
  });
  const given = (client: string, type = "A", name = "shop.example.com"): string[] => {
    const seen = Array.from({ length: 12 }, () => addressesOf(server.raw(ask({ name, type }), client)).at(-1)!);
    return [...new Set(seen)].sort();
  };
  const change = (generation: number, backends: typeof all) => server.change(aSnapshot("shop", backends, generation));

  test("clients of a place get its backends, others all; each family by itself", () => {
    expect(given("198.51.100.7")).toEqual(["192.0.2.10"]);
    expect(given("203.0.113.7")).toEqual(["192.0.2.20"]);
    expect(given("192.0.2.200")).toEqual(["192.0.2.10", "192.0.2.20", "192.0.2.99"]);
    expect(given("2001:db8:e::1")).toEqual(["192.0.2.10"]);
    expect(given("198.51.100.7", "AAAA")).toEqual(["2001:db8::10"]);
    expect(given("198.51.100.7", "A", "w.example.com")).toEqual(["192.0.2.10"]);
  });
  test("failure goes upward: a higher tier of the place, the next place, at last all", () => {
    change(2, down(0, 4));
    expect(given("198.51.100.7")).toEqual(["192.0.2.11"]);
    change(3, down(0, 1, 4));
    expect(given("198.51.100.7")).toEqual(["192.0.2.20"]);
    change(4, down(0, 1, 2, 4));
    expect(given("198.51.100.7")).toEqual(["192.0.2.99"]);
    change(5, all);
    expect(given("198.51.100.7")).toEqual(["192.0.2.10"]);
  });
});

test("places by country and continent, a written network being stronger", () => {
  const lands = [
    { prefix: "198.51.0.0/16", country: "DE", continent: "EU" },
    { prefix: "203.0.0.0/16", country: "FR", continent: "EU" },
  ];
  withMmdb(lands, (geo) => {
    const byLand = { eu: { continents: ["EU"] }, de: { countries: ["de"] }, us: { networks: ["198.51.100.0/24"] } };
    const backends = ["eu", "de", "us"].map((tag, i) => aBackend(i, `192.0.2.${i}`, { tags: [tag] }));
    const { raw } = aServer([service], [aSnapshot("shop", backends)], { places: byLand, geo });
    const first = (client: string) => addressesOf(raw(ask({ name: "shop.example.com" }), client))[0];
    expect(["198.51.7.1", "203.0.7.1", "198.51.100.1"].map(first)).toEqual(["192.0.2.1", "192.0.2.0", "192.0.2.2"]);
  });
});
