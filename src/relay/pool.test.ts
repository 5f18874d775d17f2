import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Asker } from "./asker.ts";
import type { Shared } from "./front.ts";
import { type BackendLimits, Pool } from "./pool.ts";
import type { Upstream } from "./upstream.ts";
import { Wheel } from "./wheel.ts";

const MOST = 4;
const words = fc.constantFrom("give", "give", "give", "take", "lose", "late");
const steps = fc.array(fc.record({ what: words, at: fc.nat(9) }), {
  maxLength: 60,
});

test("whatever comes back and is lost, the newest idle one is taken, and at most so many are kept", () => {
  fc.assert(
    fc.property(steps, (all) => {
      let time = 0;
      const wheel = new Wheel(() => time);
      const limits = { poolSize: MOST, poolTimeout: 60_000 } as BackendLimits;
      const backend = { address: "127.0.0.1" } as Pool["backend"];
      const pool = new Pool({ wheel } as Shared, limits, backend, 80, () => {});
      // The model: those at work, and those idle with when they came to rest, the oldest first.
      const working: Upstream[] = [];
      let idle: { one: Upstream; since: number }[] = [];
      for (const { what, at } of all) {
        time += 100;
        wheel.turn();
        if (what === "give") {
          const one = working.splice(at, 1)[0] ?? pool.make({} as Asker);
          pool.give(one);
          if (idle.length < MOST) idle.push({ one, since: wheel.now });
        } else if (what === "lose") {
          const [lost] = idle.splice(at % MOST, 1);
          lost?.one.destroy();
        } else {
          const rest = what === "late" ? 150 : Number.POSITIVE_INFINITY;
          const newest = idle.at(-1);
          const good = newest !== undefined && wheel.now - newest.since <= rest ? newest.one : null;
          expect(pool.take(rest)).toBe(good);
          if (good !== null) working.push(idle.pop()!.one);
        }
        const those = [...working, ...idle.map(({ one }) => one)];
        expect([pool.all.size, those.filter((one) => !pool.all.has(one)).length]).toEqual([those.length, 0]);
      }
      idle = [];
      pool.shut();
      expect([pool.take(Number.POSITIVE_INFINITY), pool.all.size]).toEqual([null, working.length]);
      wheel.stop();
    }),
  );
});
