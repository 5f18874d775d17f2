import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { BackendState } from "../core/backend.ts";
import type { Geography, PlaceConfig } from "../core/service.ts";
import { withMmdb } from "../geo/mmdb-testing.ts";
import { nearest } from "../geo/nearest.ts";
import { Atlas, placesOf } from "../geo/places.ts";
import { netnsMissing } from "../system/netns-testing.ts";
import { kernelCounts } from "./counts.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench, mac } from "./testing/fixtures.ts";
import { ACK, frame, SYN, tcp } from "./testing/frames.ts";
import { xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: services by place: ${missing}`);
const VIP = "125.12.12.77";
const VIP6 = "2001:db8:12::77";
const place = (networks: string[], next: string[] = []): PlaceConfig => ({
  countries: [],
  continents: [],
  networks,
  next,
});
const world: Geography = {
  places: {
    europe: place(["203.0.113.0/24", "2001:db8:e::/48"], ["america"]),
    america: place(["198.51.100.0/24", "198.51.100.64/26"], ["europe"]),
    asia: place(["192.0.2.0/24", "198.51.100.80/28"], ["europe", "america"]),
  },
};
const REGIONS = ["europe", "america", "asia"];

/** Backends 1 and 2 are in Europe, 3 and 4 in America, 5 and 6 in Asia; the address ends in 20 + id. */
function serviceOf(states: Partial<Record<number, BackendState>> = {}, geography = world) {
  const backends = [1, 2, 3, 4, 5, 6].map((id) => ({
    ...testBackend(id, `125.12.12.${20 + id}`, null, states[id] ?? "up"),
    tags: [REGIONS[(id - 1) >> 1]!],
  }));
  const vips = [VIP, VIP6].map((address) => ({ address, port: 80, protocol: "tcp" as const }));
  const service = testService("web", vips, backends);
  const snapshot = { service: "web", revision: 1, generation: 1, backends, eligible: service.eligible };
  const places = placesOf(geography).map((one) => ({
    name: one.name,
    eligible: nearest(snapshot, one).snapshot.eligible,
  }));
  return { ...service, slots: 251, near: { geography, places } };
}

describe.skipIf(missing !== null)("a service that chooses by the client's place", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.create("direct", serviceOf());
  }, patience(60_000));
  afterAll(() => bench?.close());

  const send = (source: string, port: number, flags: number): number | null => {
    const target = source.includes(":") ? VIP6 : VIP;
    const packet = tcp({ source, target }, { sourcePort: port, targetPort: 80 }, flags, 5);
    const { verdict, output } = bench.run(frame(mac.gateway, mac.director, packet));
    return verdict === "tx" ? output[5]! - 20 : null;
  };
  /** Regions that 40 new flows of a client get. */
  const regionsOf = (source: string): string[] => {
    const found = new Set(Array.from({ length: 40 }, (_, i) => REGIONS[(send(source, 2000 + i, SYN)! - 1) >> 1]!));
    return REGIONS.filter((name) => found.has(name));
  };

  test("the longest network decides, of either family; who is nowhere gets all", () => {
    bench.commit("direct", serviceOf());
    expect(regionsOf("203.0.113.9")).toEqual(["europe"]);
    expect(regionsOf("198.51.100.9")).toEqual(["america"]);
    expect(regionsOf("198.51.100.85")).toEqual(["asia"]);
    expect(regionsOf("198.51.100.100")).toEqual(["america"]);
    expect(regionsOf("2001:db8:e::9")).toEqual(["europe"]);
    expect(regionsOf("2001:db8:f::9")).toEqual(REGIONS);
    expect(regionsOf("202.20.20.20")).toEqual(REGIONS);
  });

  test("a database of countries decides where no network of a list does, of either family", () => {
    const lands = [
      { prefix: "203.0.113.0/24", country: "DE", continent: "EU" },
      { prefix: "198.51.100.0/25", country: "US", continent: "NA" },
      { prefix: "198.51.100.128/25", country: "JP", continent: "AS" },
      { prefix: "2001:db8:e::/48", country: "DE", continent: "EU" },
    ];
    withMmdb(lands, (file) => {
      const places = {
        europe: { ...place([]), continents: ["EU"] },
        america: { ...place(["203.0.113.64/26"]), countries: ["US"] },
        asia: { ...place([]), countries: ["JP"] },
      };
      bench.commit("direct", serviceOf({}, { places, geo: { file, state: "1" } }));
      expect(regionsOf("203.0.113.9")).toEqual(["europe"]);
      expect(regionsOf("203.0.113.70")).toEqual(["america"]);
      expect(regionsOf("198.51.100.9")).toEqual(["america"]);
      expect(regionsOf("198.51.100.200")).toEqual(["asia"]);
      expect(regionsOf("2001:db8:e::9")).toEqual(["europe"]);
      expect(regionsOf("202.20.20.20")).toEqual(REGIONS);
    });
  });

  test("a place without anybody turns to the next, flows stay, and it has its own again when they are back", () => {
    bench.plane.commit("direct", []);
    bench.commit("direct", serviceOf());
    const ports = Array.from({ length: 40 }, (_, i) => 3000 + i);
    const before = ports.map((port) => send("203.0.113.9", port, ACK));
    bench.commit("direct", serviceOf({ 1: "draining", 2: "draining" }));
    expect(regionsOf("203.0.113.9")).toEqual(["america"]);
    expect(ports.map((port) => send("203.0.113.9", port, ACK))).toEqual(before);
    bench.commit("direct", serviceOf({ 1: "down", 2: "down", 3: "down", 4: "down" }));
    expect(regionsOf("203.0.113.77")).toEqual(["asia"]);
    bench.commit("direct", serviceOf());
    expect(regionsOf("203.0.113.78")).toEqual(["europe"]);
    expect(ports.map((port) => send("203.0.113.9", port, ACK))).toEqual(before);
  });

  test("other places are in force at once and as a whole, whatever they were, as the name server reads them", () => {
    const octet = fc.integer({ min: 0, max: 255 });
    const network = fc.tuple(octet, octet, fc.integer({ min: 0, max: 24 })).map(([b, c, length]) => {
      const bits = ((198 << 24) | (b << 16) | (c << 8)) & (length === 0 ? 0 : -1 << (32 - length));
      return `${[24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join(".")}/${length}`;
    });
    const networks = fc.uniqueArray(network, { maxLength: 12 });
    const clients = fc.array(fc.tuple(octet, octet, octet), { minLength: 5, maxLength: 15 });
    const property = fc.property(networks, clients, fc.boolean(), (given, asked, everywhere) => {
      const lists: string[][] = [[], [], everywhere ? ["::/0"] : []];
      given.forEach((text, i) => {
        lists[i % 3]!.push(text);
      });
      const geography: Geography = {
        places: Object.fromEntries(REGIONS.map((name, i) => [name, place(lists[i]!)])),
      };
      bench.commit("direct", serviceOf({}, geography));
      const atlas = new Atlas(geography);
      for (const [b, c, d] of asked) {
        const source = `198.${b}.${c}.${d}`;
        const number = atlas.placeOf(source);
        expect(regionsOf(source)).toEqual(number < 0 ? REGIONS : [REGIONS[number]!]);
      }
    });
    fc.assert(property, { numRuns: 15 });
  });

  test("counts are the service's own, over all places, and the parts go with it", () => {
    bench.plane.commit("direct", []);
    bench.commit("direct", serviceOf());
    for (const source of ["203.0.113.9", "198.51.100.9", "192.0.2.9", "202.20.20.20"]) regionsOf(source);
    const counts = kernelCounts(bench.plane, [...bench.plane.services.values()]);
    for (const { name } of bench.plane.services.values())
      expect([name, counts.get(name) !== undefined]).toEqual([name, name === "web"]);
    expect(counts.get("web")!.service.packetsIn).toBe(160);
    const each = [...counts.get("web")!.backends.values()].map(({ packetsIn }) => packetsIn ?? 0);
    expect(each).toHaveLength(6);
    expect(each.reduce((a, b) => a + b)).toBe(160);
    bench.plane.commit("direct", []);
    expect(bench.plane.services.size).toBe(0);
    expect(send("203.0.113.9", 1, SYN)).toBeNull();
  });

  test("a service may begin to choose by place, and stop", () => {
    const { near: _, ...plain } = serviceOf();
    bench.commit("direct", plain);
    expect(regionsOf("203.0.113.9")).toEqual(REGIONS);
    bench.commit("direct", serviceOf());
    expect(regionsOf("203.0.113.9")).toEqual(["europe"]);
    bench.commit("direct", plain);
    expect(regionsOf("203.0.113.10")).toEqual(REGIONS);
  });
});
