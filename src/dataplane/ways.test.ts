import { expect, test } from "bun:test";
import type { Kernel } from "./kernel.ts";
import type { Route } from "./routes.ts";
import { Ways } from "./ways.ts";

const routeOf = (hop: string): Route => ({ device: "eth0", hop, source: "10.0.0.1", local: false }) as Route;

function waysTo(hops: Record<string, string>): Ways {
  const ways = new Ways({} as Kernel);
  for (const [address, hop] of Object.entries(hops)) {
    ways.routes.set(address, routeOf(hop));
    ways.hops.numberOf(routeOf(hop));
  }
  return ways;
}

test("ways that no backend has are forgotten at the second look, with the hops that only they led to", () => {
  const ways = waysTo({ "10.1.0.1": "10.0.0.2", "10.1.0.2": "10.0.0.2", "10.1.0.3": "10.0.0.3" });
  const used = new Set(["10.1.0.1"]);
  ways.keep(used, new Set());
  // A revision that is being prepared has learnt them, perhaps.
  expect([ways.routes.size, ways.hops.count]).toEqual([3, 2]);
  ways.keep(new Set([...used, "10.1.0.3"]), new Set());
  expect([...ways.routes.keys()]).toEqual(["10.1.0.1", "10.1.0.3"]);
  expect(ways.hops.count).toBe(2);
  ways.keep(used, new Set());
  ways.keep(used, new Set());
  expect([...ways.routes.keys()]).toEqual(["10.1.0.1"]);
  expect(ways.hops.count).toBe(1);
});
