import { afterEach, expect, test } from "bun:test";
import fc from "fast-check";
import { Timed, Wheel } from "./wheel.ts";

class Item extends Timed {
  at = -1;
  readonly clock: () => number;
  constructor(clock: () => number) {
    super();
    this.clock = clock;
  }
  expired(): void {
    this.at = this.clock();
  }
}
const wheels: Wheel[] = [];
afterEach(() => {
  for (const wheel of wheels.splice(0)) wheel.stop();
});
/** `pass`: time in which the wheel turns as it should; `stand`: it turns once, at the end. */
function aWheel(): { wheel: Wheel; item(): Item; pass(ms: number): void; stand(ms: number): void } {
  let time = 1000;
  const wheel = new Wheel(() => time, 10);
  wheels.push(wheel);
  return {
    wheel,
    item: () => new Item(() => time),
    pass(ms) {
      for (let left = ms; left > 0; left -= 10) {
        time += Math.min(10, left);
        wheel.turn();
      }
    },
    stand(ms) {
      time += ms;
      wheel.turn();
    },
  };
}

test("a deadline is met within a tick, and only once", () => {
  const { wheel, item, pass } = aWheel();
  const it = item();
  wheel.set(it, 100);
  pass(90);
  expect(it.at).toBe(-1);
  pass(20);
  expect(it.at).toBe(1100);
  it.at = -1;
  pass(50_000);
  expect(it.at).toBe(-1);
});

test("one that is due at once is met by the next tick, not a round later", () => {
  const { wheel, item, pass } = aWheel();
  const it = item();
  wheel.set(it, 0);
  pass(10);
  expect(it.at).toBe(1010);
});

test("a deadline can move later, earlier, and away", () => {
  const { wheel, item, pass } = aWheel();
  const [later, earlier, gone, removed] = [item(), item(), item(), item()];
  for (const it of [later, earlier, gone, removed]) wheel.set(it, 100);
  wheel.set(later, 200);
  wheel.set(earlier, 30);
  wheel.clear(gone);
  wheel.remove(removed);
  pass(50);
  expect([later.at, earlier.at]).toEqual([-1, 1030]);
  pass(100);
  expect(later.at).toBe(-1);
  pass(100);
  expect([later.at, gone.at, removed.at]).toEqual([1200, -1, -1]);
});

test("one that comes round several times waits for its own round", () => {
  const { wheel, item, pass } = aWheel();
  const it = item();
  wheel.set(it, 25_000);
  for (let i = 0; i < 249; i++) pass(100);
  expect(it.at).toBe(-1);
  pass(120);
  expect(it.at).toBe(26_000);
});

test("one that another takes away as it expires costs those behind it no turn", () => {
  const { wheel, item, pass } = aWheel();
  const [last, removed, first] = [item(), item(), item()];
  first.expired = () => wheel.remove(removed);
  // The newest of a slot comes first.
  for (const it of [last, removed, first]) wheel.set(it, 100);
  pass(110);
  expect([last.at, removed.at]).toEqual([1100, -1]);
});

test("time in which the program stood still counts for nobody, and nobody's is up before what came meanwhile is read", () => {
  const { wheel, item, pass, stand } = aWheel();
  const [before, behind] = [item(), item()];
  wheel.set(before, 100);
  pass(95);
  stand(60_000);
  wheel.set(behind, 100);
  expect([before.at, wheel.now]).toEqual([-1, 1095]);
  pass(10);
  expect(before.at).toBe(61_105);
  pass(80);
  expect(behind.at).toBe(-1);
  pass(20);
  expect(behind.at).toBe(61_205);
});

test("a little late is not still; and where every turn is late, time goes on by a tick each", () => {
  const { wheel, item, stand } = aWheel();
  const it = item();
  stand(40);
  expect(wheel.now).toBe(1040);
  wheel.set(it, 100);
  for (let i = 0; i < 10; i++) stand(41);
  expect(it.at).toBe(-1);
  stand(41);
  expect(it.at).toBe(1040 + 11 * 41);
});

test("any sequence of sets and passes: never early, never more than a tick and a pass late", () => {
  const step = fc.tuple(fc.nat({ max: 4 }), fc.integer({ min: 1, max: 15_000 }), fc.integer({ min: 0, max: 400 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { wheel, item, pass } = aWheel();
      const items = Array.from({ length: 5 }, item);
      const due = items.map(() => Number.POSITIVE_INFINITY);
      for (const [who, after, wait] of steps) {
        const it = items[who]!;
        it.at = -1;
        wheel.set(it, after);
        due[who] = wheel.now + after;
        pass(wait);
        for (const [k, other] of items.entries()) {
          if (other.at >= 0 && due[k] !== Number.POSITIVE_INFINITY) {
            expect(other.at).toBeGreaterThanOrEqual(due[k]!);
            due[k] = Number.POSITIVE_INFINITY;
          } else if (due[k] !== Number.POSITIVE_INFINITY) expect(due[k]! + 20).toBeGreaterThan(wheel.now - 20);
        }
      }
    }),
    { numRuns: 200 },
  );
});
