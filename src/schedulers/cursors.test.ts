import { expect, test } from "bun:test";
import { type EligibleSet, nothingTried, type Scheduler, type SchedulerDefinition } from "../core/scheduler.ts";
import leastConnections from "./least-connections.ts";
import roundRobin from "./round-robin.ts";
import weightedRoundRobin from "./weighted-round-robin.ts";

const set = (names: string, weights?: number[]): EligibleSet => ({
  ids: [...names].map((_, i) => i + 1),
  names: [...names],
  weights: weights ?? [...names].map(() => 1),
});
const env = { random: () => 0, now: () => 0, seed: 1, load: () => 0 };
const create = (definition: SchedulerDefinition, over: EligibleSet, previous?: Scheduler) =>
  definition.create(over, {}, env, previous);
const letters = (over: EligibleSet, scheduler: Scheduler, count: number): string =>
  Array.from({ length: count }, () => over.names[scheduler.pick(0, nothingTried)]).join("");

test("smooth weighted turns are nginx's: 5 1 1 gives aabacaa", () => {
  for (const definition of [weightedRoundRobin, leastConnections]) {
    const over = set("abc", [5, 1, 1]);
    expect(letters(over, create(definition as SchedulerDefinition, over), 14)).toBe("aabacaaaabacaa");
  }
});

test("round-robin goes on where it was when a backend leaves and comes back", () => {
  const whole = set("abcde");
  const part = set("abde");
  const first = create(roundRobin as SchedulerDefinition, whole);
  expect(letters(whole, first, 2)).toBe("ab");
  const second = create(roundRobin as SchedulerDefinition, part, first);
  expect(letters(part, second, 2)).toBe("de");
  expect(letters(whole, create(roundRobin as SchedulerDefinition, whole, second), 5)).toBe("abcde");
});

test("a flap at each pick does not favour the first backend", () => {
  for (const definition of [roundRobin, weightedRoundRobin, leastConnections]) {
    const sets = [set("abcd"), set("abcde")];
    let scheduler: Scheduler | undefined;
    const counts: Record<string, number> = {};
    for (let i = 0; i < 4000; i++) {
      const over = sets[i % 2]!;
      scheduler = create(definition as SchedulerDefinition, over, scheduler);
      const name = over.names[scheduler.pick(0, nothingTried)]!;
      counts[name] = (counts[name] ?? 0) + 1;
    }
    for (const name of "abcd") expect(counts[name]!).toBeGreaterThan(600);
  }
});
