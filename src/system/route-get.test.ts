import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { routeGetSync } from "./ip.ts";
import { linkedPair, netnsMissing, type TestNetns } from "./netns-testing.ts";
import { type FoundRoute, getRoutes } from "./route-get.ts";

const missing = netnsMissing();
if (missing) console.warn(`routes: skipped, ${missing}`);

describe.skipIf(missing !== null)("routes", () => {
  let link: ReturnType<typeof linkedPair>;
  let a: TestNetns;
  beforeAll(() => {
    link = linkedPair();
    ({ a } = link);
    a.sh("ip route add 10.7.0.0/16 via 10.9.0.2; ip route add unreachable 10.8.0.0/16");
    a.sh("ip -6 address add 2001:db8:9::1/64 dev eth0 nodad; ip -6 route add 2001:db8:7::/48 via 2001:db8:9::2");
  });
  afterAll(() => {
    link?.remove();
  });

  /** What ip(8) says. */
  function told(address: string): FoundRoute | undefined {
    const text = a.sh(`ip -json route get ${address} 2>/dev/null || true`);
    if (text.trim() === "") return undefined;
    const [row] = JSON.parse(text) as { dev: string; gateway?: string; prefsrc?: string; type?: string }[];
    const { dev: device, gateway = null, prefsrc: source = null, type } = row!;
    return { device, gateway, source, local: type === "local" };
  }

  test("are those that ip(8) tells of: by a gateway, on the link, to the host itself, and none", async () => {
    const asked = [
      "10.7.1.1",
      "10.9.0.2",
      "10.9.0.1",
      "10.8.0.1",
      "203.0.113.1",
      "2001:db8:7::1",
      "2001:db8:9::2",
      "2001:db8:9::1",
      "2001:db8:5::1",
    ];
    const found = await a.within(() => getRoutes(asked));
    expect(asked.map((address) => found.get(address))).toEqual(asked.map(told));
    expect(found.get("10.7.1.1")).toEqual({ device: "eth0", gateway: "10.9.0.2", source: "10.9.0.1", local: false });
    expect([...found.keys()]).toEqual(asked.filter((address) => told(address)));
    expect(await a.within(() => getRoutes([]))).toEqual(new Map());
  });

  test("an IPv4 address may be behind an IPv6 gateway (RFC 8950)", async () => {
    a.sh("ip route add 10.6.0.0/16 via inet6 2001:db8:9::2 dev eth0");
    const gateway = "2001:db8:9::2";
    const found = await a.within(() => getRoutes(["10.6.1.1", "10.6.1.2"]));
    expect(found.get("10.6.1.1")).toEqual({ device: "eth0", gateway, source: "10.9.0.1", local: false });
    expect(found.get("10.6.1.2")).toBe(found.get("10.6.1.1")!);
    expect(await a.within(() => routeGetSync("10.6.1.1"))).toMatchObject({ device: "eth0", via: gateway });
  });

  test("of very many addresses each has its own answer, those without one among them", async () => {
    const asked = Array.from({ length: 20_000 }, (_, i) => `10.${i % 3 === 0 ? 8 : 7}.${i >> 8}.${i & 255}`);
    const found = await a.within(() => getRoutes(asked));
    for (const [i, address] of asked.entries()) expect(found.has(address)).toBe(i % 3 !== 0);
  });

  test("are those of the namespace in which they were asked for, though others have their turns", async () => {
    const asked = Array.from({ length: 5000 }, (_, i) => `10.7.${i >> 8}.${i & 255}`);
    const found = await a.inside(() => getRoutes(asked));
    expect(found.size).toBe(asked.length);
  });
});
