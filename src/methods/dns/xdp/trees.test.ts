import { describe, expect, test } from "bun:test";
import { ensureBuilt } from "../../../dataplane/build.ts";
import { xdpMissing } from "../../../dataplane/testing/network.ts";
import { netnsMissing } from "../../../system/netns-testing.ts";
import type { Leaf, Plan } from "../steering/plan.ts";
import { aBackend, addressesOf, aService, aSnapshot, ask } from "../testing.ts";
import { bothWays } from "./compare.ts";
import { LiveSets } from "./live.ts";
import { MOST_TREE, shareFor, sharesOf, treeOf } from "./trees.ts";
import { setsOf } from "./view.ts";

const leaf = (path: string): Leaf => ({ kind: "leaf", path, snapshot: aSnapshot(path, []) });
function draw(weights: number[], parts: Plan[]): Plan {
  const all = { paths: weights.map(String), weights, parts };
  // Nobody here has IPv6 but the last.
  return { kind: "weighted", ...all, v4: all, v6: { paths: ["last"], weights: [1], parts: parts.slice(-1) } };
}

test("draws inside each other are one draw, each group in proportion; a place has had a part where one decided", () => {
  const plan = draw([3, 1], [leaf("a"), { kind: "place", parts: [draw([1, 2], [leaf("b"), leaf("c")]), leaf("d")] }]);
  const told = (place: number, kind: "v4" | "v6" = "v4") =>
    sharesOf(plan, kind, place, 1).map(({ leaf: { path }, weight, placed }) => [path, weight, placed]);
  expect(told(0)).toEqual([
    ["a", 0.75, false],
    ["b", 1 / 12, true],
    ["c", 2 / 12, true],
  ]);
  expect(told(-1)).toEqual([
    ["a", 0.75, false],
    ["d", 0.25, true],
  ]);
  expect(told(0, "v6")).toEqual([["c", 1, true]]);
});

test("over random numbers groups are drawn by weight", () => {
  const weights = [1, 2, 5];
  const shares = sharesOf(draw(weights, [leaf("0"), leaf("1"), leaf("2")]), "v4", -1, 0);
  const counts = [0, 0, 0];
  const draws = 40_000;
  for (let i = 0; i < draws; i++) counts[Number(shareFor(shares, Math.floor((i / draws) * 2 ** 32)).leaf.path)]!++;
  for (const [i, count] of counts.entries()) expect(Math.abs(count / draws - weights[i]! / 8)).toBeLessThan(0.01);
});

test("what all groups are is the whole; what does not fit is the workers'", () => {
  const plan = draw([1, 1], [leaf("a"), leaf("b")]);
  expect(treeOf(plan, "v4", 0, () => "none")).toBe("none");
  expect(treeOf(plan, "v4", 0, () => "pass")).toBe("pass");
  expect(treeOf(plan, "v4", 0, ({ path }) => (path === "a" ? "none" : "pass"))).toBeInstanceOf(Uint8Array);
  const many = Array.from({ length: 12 }, (_, i) => leaf(String(i)));
  const large = draw(
    many.map(() => 1),
    many,
  );
  expect(treeOf(large, "v4", 0, () => new Uint8Array(2000))).toBe("pass");
  expect((treeOf(large, "v4", 0, () => new Uint8Array(600)) as Uint8Array).length).toBeLessThanOrEqual(MOST_TREE);
});

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: groups in XDP: ${missing}`);

describe.skipIf(missing !== null)("in the program", () => {
  test("a group that fails is drawn no more at once; one that makes too much of it waits for more room", async () => {
    ensureBuilt();
    const service = aService("shop", { dns: { steer: { by: "weighted", groups: ["a", "b"] } } });
    const backends = (down: string[], count = 1) =>
      ["a", "b"].flatMap((tag, g) =>
        Array.from({ length: count }, (_, i) =>
          aBackend(g * count + i, `192.0.2.${g * 100 + i}`, { tags: [tag], state: down.includes(tag) ? "down" : "up" }),
        ),
      );
    const snapshot = aSnapshot("shop", backends([]));
    const ways = await bothWays([service], [snapshot]);
    const sets = new LiveSets(ways.program, () => 0);
    const { rooms, set } = ways.view.services[0]!;
    const answered = (): Set<string> =>
      new Set(
        Array.from(
          { length: 64 },
          (_, i) => ways.kernel(ask({ name: "shop.example.com" }), Math.imul(i, 0x9e3779b1) >>> 0)!,
        ).flatMap((answer) => addressesOf(answer)),
      );
    expect(answered()).toEqual(new Set(["192.0.2.0", "192.0.2.100"]));
    const shown = setsOf(service, aSnapshot("shop", backends(["a"])), [])[0]!;
    expect(sets.show(set, false, shown, rooms[0]!)).toBe("shown");
    expect(answered()).toEqual(new Set(["192.0.2.100"]));
    const larger = setsOf(service, aSnapshot("shop", backends([], 30)), [])[0]!;
    expect(sets.show(set, false, larger, rooms[0]!)).toBe("full");
    expect(ways.kernel(ask({ name: "shop.example.com" }), 1)).toBeNull();
    ways.close();
  });
});
