import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Asker } from "./asker.ts";
import { Idle } from "./idle.ts";
import { type BackendLimits, Pool } from "./pool.ts";
import type { Upstream } from "./upstream.ts";
import { Wheel } from "./wheel.ts";

const MOST = 4;
const words = fc.constantFrom("give", "give", "give", "take", "lose", "late", "still");
const steps = fc.array(fc.record({ what: words, at: fc.nat(9) }), {
  maxLength: 60,
});

test("whatever comes back and is lost, the newest idle one is taken, and at most so many are kept", () => {
  fc.assert(
    fc.property(steps, (all) => {
      let time = 0;
      const wheel = new Wheel(() => time);
      const limits = { poolSize: MOST, poolTimeout: 60_000 } as BackendLimits;
      const idle = new Idle(limits, wheel);
      const backend = { id: 3, address: "127.0.0.1" } as Pool["backend"];
      const pool = new Pool(
        idle,
        backend,
        80,
        () => {},
        () => {},
      );
      // The model: those at work, and those idle with when they came to rest, the oldest first.
      const working: Upstream[] = [];
      const resting: { one: Upstream; since: number }[] = [];
      for (const { what, at } of all) {
        // A kept connection that rested while the program stood still is old: the backend may have closed it long since.
        time += what === "still" ? 5000 : 100;
        if (what === "still") for (const kept of resting) kept.since = Number.NEGATIVE_INFINITY;
        wheel.turn();
        if (what === "still") continue;
        if (what === "give") {
          const one = working.splice(at, 1)[0] ?? pool.make({} as Asker);
          idle.give(one);
          if (resting.length < MOST) resting.push({ one, since: wheel.now });
        } else if (what === "lose") {
          const [lost] = resting.splice(at % MOST, 1);
          lost?.one.destroy();
        } else {
          const rest = what === "late" ? 150 : Number.POSITIVE_INFINITY;
          const newest = resting.at(-1);
          const good = newest !== undefined && wheel.now - newest.since <= rest ? newest.one : null;
          expect(idle.take(3, rest)).toBe(good);
          if (good !== null) working.push(resting.pop()!.one);
        }
        const those = [...working, ...resting.map(({ one }) => one)];
        expect([pool.all.size, those.filter((one) => !pool.all.has(one)).length]).toEqual([those.length, 0]);
      }
      pool.shut();
      expect([idle.take(3, Number.POSITIVE_INFINITY), pool.all.size]).toEqual([null, working.length]);
      // Nor is one kept that comes back only now.
      for (const one of working) idle.give(one);
      expect([idle.take(3, Number.POSITIVE_INFINITY), pool.all.size]).toEqual([null, 0]);
      wheel.stop();
    }),
  );
});
