import { expect, test } from "bun:test";
import type { EventBody } from "../core/event.ts";
import { dns } from "../methods/dns/index.ts";
import { aBackend, aService, aSnapshot } from "../methods/dns/testing.ts";
import { Groups } from "./groups.ts";

const service = aService("shop", {
  dns: {
    upThreshold: 60,
    steer: { by: "failover", groups: [{ tag: "east", by: "weighted", groups: ["blue", "green"] }, "west"] },
  },
});
const backends = [
  aBackend(0, "192.0.2.1", { tags: ["east", "blue"] }),
  aBackend(1, "192.0.2.2", { tags: ["east", "green"] }),
  aBackend(2, "192.0.2.3", { tags: ["west"] }),
];
const entry = (...down: number[]) => ({
  service,
  members: [],
  since: 0,
  snapshot: aSnapshot(
    "shop",
    backends.map((b) => (down.includes(b.id) ? { ...b, state: "down" as const } : b)),
  ),
});

test("an event when a group fails or is good again, the group around it too; none at first sight", () => {
  const events: EventBody[] = [];
  const groups = new Groups(
    [dns as never],
    () => ({ places: {} }),
    (event) => events.push(event),
  );
  groups.look(entry(2));
  expect(events).toEqual([]);
  groups.look(entry(1, 2));
  expect(events.splice(0)).toEqual([
    { kind: "group", service: "shop", group: "east", good: false, up: 1, of: 2 },
    { kind: "group", service: "shop", group: "east/green", good: false, up: 0, of: 1 },
  ]);
  groups.look(entry(1, 2));
  groups.look(entry(1));
  expect(events.splice(0)).toEqual([{ kind: "group", service: "shop", group: "west", good: true, up: 1, of: 1 }]);
});

test("places are groups of a service with nearest; a service without groups has none", () => {
  const places = { east: { networks: ["198.51.100.0/24"], countries: [], continents: [], next: [] } };
  const groups = new Groups(
    [dns as never],
    () => ({ places }),
    () => {},
  );
  const { snapshot } = entry(1);
  expect(groups.of({ service: aService("shop", { nearest: true }), snapshot })).toEqual([
    { path: "east", up: 1, of: 2, good: true },
  ]);
  expect(groups.of({ service: aService("shop"), snapshot })).toEqual([]);
});
