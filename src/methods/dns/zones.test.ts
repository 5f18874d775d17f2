import { describe, expect, test } from "bun:test";
import type { Outlook } from "../../core/snapshot.ts";
import { wireToName } from "../../protocols/dns/name.ts";
import { compile } from "./compile.ts";
import { dns } from "./index.ts";
import { judge } from "./judge.ts";
import { settings } from "./options.ts";
import { aBackend, aService, aSnapshot, someSettings } from "./testing.ts";
import { zoneApexes } from "./zones.ts";

describe("zones", () => {
  const apexes = (zones: string[], names: string[]): string[] => zoneApexes(zones, names).map((z) => wireToName(z));
  test("a name's parent, once", () => {
    expect(apexes([], ["shop.example.com", "www.example.com", "a.b.example.net"])).toEqual([
      "example.com",
      "b.example.net",
    ]);
  });
  test("never a top-level domain: the name itself then", () => {
    expect(apexes([], ["example.com"])).toEqual(["example.com"]);
  });
  test("of derived zones only the outermost", () => {
    expect(apexes([], ["a.shop.example.com", "shop.example.com"])).toEqual(["example.com"]);
  });
  test("a configured zone takes all names within it", () => {
    expect(apexes(["shop.example.com"], ["a.shop.example.com", "shop.example.com"])).toEqual(["shop.example.com"]);
  });
  test("a wildcard's zone is what it stands in", () => {
    expect(apexes([], ["*.example.com", "*.org"])).toEqual(["org", "example.com"]);
    expect(apexes([], ["*odd.org"])).toEqual(["*odd.org"]);
  });
});

describe("compile", () => {
  test("is the eligible backends by family", () => {
    const all = [aBackend(0, "192.0.2.1"), aBackend(1, "192.0.2.2", { state: "down" }), aBackend(2, "2001:db8::1")];
    const service = aService("shop", { dns: { ttl: "1m", answers: 2 } });
    expect(compile(service, aSnapshot("shop", all))).toEqual({
      service: "shop",
      names: ["shop.example.com"],
      ttl: 60,
      most: 2,
      rule: "steered",
      v4: [{ id: 0, address: "192.0.2.1" }],
      v6: [{ id: 2, address: "2001:db8::1" }],
    });
  });
  test("an adaptive TTL: as soon as checks could change it, the least while one wavers", () => {
    const service = aService("shop", { dns: { ttl: { min: "3s", max: "20s" } } });
    const ttl = (outlook?: Outlook): number =>
      compile(service, { ...aSnapshot("shop", [aBackend(0, "192.0.2.1")]), ...(outlook ? { outlook } : {}) }).ttl;
    expect(ttl()).toBe(20);
    expect(ttl({ soonest: 6500, steady: true })).toBe(6);
    expect(ttl({ soonest: 1000, steady: true })).toBe(3);
    expect(ttl({ soonest: 90_000, steady: true })).toBe(20);
    expect(ttl({ soonest: 6500, steady: false })).toBe(3);
    // No longer than until an operator's word ends.
    expect(ttl({ soonest: 90_000, steady: true, word: 8000 })).toBe(8);
    expect(ttl({ soonest: 6500, steady: true, word: 8000 })).toBe(6);
    expect(ttl({ soonest: null, steady: true, word: 16_000 })).toBe(16);
    expect(ttl({ soonest: null, steady: true, word: 0 })).toBe(3);
    expect(dns.options.safeParse({ ttl: { min: "10s", max: "5s" } }).success).toBe(false);
    expect(dns.options.encode(dns.options.parse({ ttl: {} }))).toMatchObject({ ttl: { min: "5s", max: "1m" } });
  });
  test("a family that is all down is not answered while the other is up", () => {
    const all = [aBackend(0, "192.0.2.1"), aBackend(2, "2001:db8::1", { state: "down" })];
    expect(compile(aService("shop"), aSnapshot("shop", all)).v6).toEqual([]);
  });
  test("with all down only the first tier stands", () => {
    const all = [aBackend(0, "192.0.2.1", { state: "down" }), aBackend(1, "192.0.2.2", { state: "down", tier: 1 })];
    expect(compile(aService("shop"), aSnapshot("shop", all))).toMatchObject({ rule: "rotated", v4: [{ id: 0 }] });
  });
});

describe("configuration", () => {
  test("sockets: UDP and TCP at each address, none without services", () => {
    const given = someSettings({ listen: ["125.12.12.53", "[2001:db8::53]:5353", "2001:db8::54"] });
    expect(dns.sockets!([aService("shop")], given).map((l) => `${l.address} ${l.port} ${l.protocol}`)).toEqual([
      "125.12.12.53 53 udp",
      "125.12.12.53 53 tcp",
      "2001:db8::53 5353 udp",
      "2001:db8::53 5353 tcp",
      "2001:db8::54 53 udp",
      "2001:db8::54 53 tcp",
    ]);
    expect(dns.sockets!([], given)).toEqual([]);
  });
  test("a wildcard listener is refused, with the reason", () => {
    const parsed = settings.safeParse({ listen: ["0.0.0.0:53"] });
    expect(parsed.error?.issues[0]?.message).toContain("RFC 2181");
    expect(settings.safeParse({ listen: ["[::]:53"] }).success).toBe(false);
  });
  test("what is parsed can be written again", () => {
    const given = someSettings({ ns: ["NS1.example.com.", { name: "ns2.example.com", addresses: ["192.0.2.1"] }] });
    expect(settings.parse(settings.encode(given))).toEqual(given);
    expect(dns.options.parse(dns.options.encode(dns.options.parse({ ttl: "0s" })))).toMatchObject({ ttl: 0 });
  });
  test("bad values are refused", () => {
    for (const bad of [
      { ttl: "1.5s" },
      { ttl: "500ms" },
      { ttl: "30" },
      { answers: 0 },
      { empty: "none" },
      { other: 1 },
    ])
      expect(dns.options.safeParse(bad).success).toBe(false);
    for (const bad of [
      {},
      { listen: [] },
      { listen: ["x"] },
      { listen: ["1.2.3.4"], zones: ["a..b"] },
      { listen: ["1.2.3.4"], udpSize: 100 },
    ])
      expect(settings.safeParse(bad).success).toBe(false);
  });
  test("names that DNS cannot answer", () => {
    expect(judge(aService("shop", { names: ["localhost"] }))[0]).toMatchObject({ path: ["names", 0] });
    expect(judge(aService("shop", { names: ["a.example.com", "*.example.com"] }))).toEqual([]);
    const [label, most] = ["a".repeat(63), "a".repeat(61)];
    expect(judge(aService("shop", { names: [`${label}.${label}.${label}.${most}`] }))).toEqual([]);
    for (const bad of [`${label}a.com`, `${label}.${label}.${label}.${most}a`, "a..b"])
      expect(judge(aService("shop", { names: [bad] }))[0]).toMatchObject({ code: "SLUICE_CONFIG_VALUE" });
  });
});
