import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { linkedPair, netnsMissing, type TestNetns } from "./netns-testing.ts";
import { watchRoutes } from "./route-watch.ts";

const missing = netnsMissing();
if (missing) console.warn(`route watch: skipped, ${missing}`);

describe.skipIf(missing !== null)("a watch of routes", () => {
  let link: ReturnType<typeof linkedPair>;
  let a: TestNetns;
  beforeAll(() => {
    link = linkedPair();
    ({ a } = link);
  });
  afterAll(() => {
    link?.remove();
  });

  test("tells once of what moves ways, and of nothing else", () => {
    const watch = a.inside(() => watchRoutes());
    try {
      watch.moved();
      const moves = (line: string): boolean => {
        a.sh(line);
        return watch.moved();
      };
      expect(moves("true")).toBe(false);
      expect(moves("ip route add 10.7.0.0/16 via 10.9.0.2")).toBe(true);
      expect(watch.moved()).toBe(false);
      expect(moves("ip -6 route add 2001:db8:7::/48 dev eth0")).toBe(true);
      expect(moves("ip rule add to 10.7.1.0/24 table 100")).toBe(true);
      expect(moves("ip address add 10.9.0.77/32 dev eth0")).toBe(true);
      expect(moves("ip link set eth0 down")).toBe(true);
      expect(moves("ip neigh replace 10.9.0.9 lladdr 02:00:00:00:00:09 dev lo")).toBe(false);
    } finally {
      watch.close();
    }
  });

  test("what was told and not heard counts, however much it was", () => {
    const watch = a.inside(() => watchRoutes());
    a.sh("for i in $(seq 4000); do echo address add 10.6.$((i / 256)).$((i % 256))/32 dev lo; done | ip -batch -");
    expect([watch.moved(), watch.moved()]).toEqual([true, false]);
    watch.close();
  });
});
