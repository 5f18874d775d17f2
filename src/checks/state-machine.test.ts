import { expect, test } from "bun:test";
import fc from "fast-check";
import type { AdminState } from "../core/backend.ts";
import type { AgentWord, CheckConfig, Verdict } from "../core/check.ts";
import { type Health, initialHealth, neededFor, observe, type Step, setAdmin, setAgent } from "./state-machine.ts";

const check: CheckConfig = { kind: "tcp", options: {}, interval: 1000, timeout: 500, rise: 2, fall: 3 };
const good: Verdict = { passed: true, code: "SLUICE_CHECK_OK", detail: "connected", latency: 0.4 };
const bad: Verdict = { passed: false, code: "SLUICE_CHECK_REFUSED", detail: "connect refused", latency: 0.2 };
const local: Verdict = { passed: false, code: "SLUICE_CHECK_LOCAL", detail: "no descriptor", latency: null };

/** The states after each verdict of a word: `+` passed, `-` failed, `.` never left this host. */
function walk(word: string, health: Health = initialHealth(check, "ready")): string[] {
  const verdicts: Record<string, Verdict> = { "+": good, "-": bad, ".": local };
  return [...word].map((sign) => {
    health = observe(health, verdicts[sign]!, check, 0).health;
    return health.state;
  });
}

test("down until the first verdict, which decides at once", () => {
  expect(initialHealth(check, "ready").state).toBe("down");
  expect(walk("+")).toEqual(["up"]);
  expect(walk("-")).toEqual(["down"]);
});

test("fall failures in a row take it down, rise successes bring it up", () => {
  expect(walk("+--")).toEqual(["up", "up", "up"]);
  expect(walk("+---").at(-1)).toBe("down");
  expect(walk("+---+").at(-1)).toBe("down");
  expect(walk("+---++").at(-1)).toBe("up");
});

test("one that flaps faster than a row keeps its state", () => {
  expect(new Set(walk("+--+--+--+--+--+"))).toEqual(new Set(["up"]));
  expect(new Set(walk("-+-+-+-+-+-"))).toEqual(new Set(["down"]));
});

test("a probe that never left this host changes nothing, not even a row", () => {
  expect(walk("....")).toEqual(["down", "down", "down", "down"]);
  expect(walk("+-.-..-").at(-1)).toBe("down");
  expect(walk("+-.-.").at(-1)).toBe("up");
});

test("a change tells what an event needs", () => {
  const first = observe(initialHealth(check, "ready"), good, check, 0);
  expect(first.change).toEqual({
    from: "down",
    to: "up",
    code: "SLUICE_CHECK_OK",
    detail: "tcp connected",
    progress: { count: 1, of: 1 },
    latency: 0.4,
  });
  let step: Step = first;
  for (let i = 0; i < 2; i++) {
    step = observe(step.health, bad, check, 0);
    expect(step.change).toBeNull();
  }
  expect(observe(step.health, bad, check, 0).change).toEqual({
    from: "up",
    to: "down",
    code: "SLUICE_CHECK_REFUSED",
    detail: "tcp connect refused",
    progress: { count: 3, of: 3 },
    latency: 0.2,
  });
});

test("a backend that is down at the start makes no event until it is up", () => {
  const step = observe(initialHealth(check, "ready"), bad, check, 0);
  expect(step.change).toBeNull();
  expect(observe(observe(step.health, good, check, 0).health, good, check, 0).change?.to).toBe("up");
});

test("an operator's word: draining only while alive, maintenance whatever is seen", () => {
  const up = observe(initialHealth(check, "ready"), good, check, 0).health;
  const draining = setAdmin(up, "drain");
  expect(draining.change).toMatchObject({ from: "up", to: "draining", progress: null, detail: "set by an operator" });
  expect(walk("---", draining.health).at(-1)).toBe("down");
  const maintained = setAdmin(draining.health, "maintenance");
  expect(maintained.health.state).toBe("maintenance");
  expect(walk("---+++", maintained.health).at(-1)).toBe("maintenance");
  const back = setAdmin(maintained.health, "ready");
  expect(back.health.state).toBe("down");
  expect(walk("+", back.health)).toEqual(["up"]);
  expect(setAdmin(up, "ready").change).toBeNull();
});

test("without a check a backend is unchecked, and verdicts mean nothing", () => {
  const health = initialHealth(null, "ready");
  expect(health.state).toBe("unchecked");
  expect(walk("---", health)).toEqual(["unchecked", "unchecked", "unchecked"]);
  expect(setAdmin(health, "drain").health.state).toBe("draining");
  expect(setAdmin(setAdmin(health, "maintenance").health, "ready").health.state).toBe("unchecked");
});

test("an agent's word: it can take out and put back what it took out, and nothing else", () => {
  const up = observe(initialHealth(check, "ready"), good, check, 0).health;
  const down = setAgent(up, { up: false }, "agent says stopped");
  expect(down.change).toMatchObject({ from: "up", to: "down", code: "SLUICE_AGENT", detail: "agent says stopped" });
  expect(walk("++++", down.health).at(-1)).toBe("down");
  expect(setAgent(down.health, { percent: 50 }, "").change).toBeNull();
  expect(setAgent(down.health, { up: true }, "").health.state).toBe("up");
  const failing = observe(
    observe(observe(down.health, bad, check, 0).health, bad, check, 0).health,
    bad,
    check,
    0,
  ).health;
  expect(setAgent(failing, { up: true }, "").health.state).toBe("down");
  const drained = setAdmin(up, "drain").health;
  expect(setAgent(drained, { admin: "ready", up: true }, "").health.state).toBe("draining");
  const maintained = setAgent(drained, { admin: "maintenance" }, "").health;
  expect(setAdmin(maintained, "ready").health.state).toBe("maintenance");
  const back = setAgent(maintained, { admin: "ready" }, "");
  expect(back.change).toMatchObject({ to: "down", detail: "out of maintenance, not yet checked" });
  expect(walk("+", back.health)).toEqual(["draining"]);
  const unchecked = setAgent(initialHealth(null, "ready"), { up: false }, "").health;
  expect([unchecked.state, setAgent(unchecked, { up: true }, "").health.state]).toEqual(["down", "unchecked"]);
});

test("against a model: the state is what the whole history says, and each change joins on to the last", () => {
  const verdict = fc.oneof(
    fc.constantFrom<Verdict | AdminState>(good, bad, bad, good, local, "ready", "drain", "maintenance"),
    fc.record(
      { admin: fc.constantFrom<AdminState>("ready", "drain", "maintenance"), up: fc.boolean() },
      { requiredKeys: [] },
    ),
  );
  const row = fc.integer({ min: 1, max: 5 });
  fc.assert(
    fc.property(fc.array(verdict, { maxLength: 60 }), row, row, (history, rise, fall) => {
      const timing = { ...check, rise, fall };
      let health = initialHealth(timing, "ready");
      let admin: AdminState = "ready";
      let agent: Required<Pick<AgentWord, "admin" | "up">> = { admin: "ready", up: true };
      let seen: boolean[] = [];
      let state = health.state;
      for (const step of history) {
        const out = [admin, agent.admin].includes("maintenance");
        let took: Step;
        if (typeof step === "string") {
          admin = step;
          took = setAdmin(health, step);
        } else if ("passed" in step) {
          if (step !== local) seen.push(step.passed);
          took = observe(health, step, timing, 0);
        } else {
          agent = { ...agent, ...step };
          took = setAgent(health, step, "");
        }
        const { change } = took;
        health = took.health;
        const words = [admin, agent.admin];
        if (out && !words.includes("maintenance")) seen = [];
        const alive = agent.up && aliveAfter(seen, rise, fall);
        const expected = words.includes("maintenance")
          ? "maintenance"
          : !alive
            ? "down"
            : words.includes("drain")
              ? "draining"
              : "up";
        expect(health.state).toBe(expected);
        if (change) expect([change.from, change.to]).toEqual([state, expected]);
        else expect(expected).toBe(state);
        state = expected;
      }
    }),
  );
});

/** The model: the first verdict decides; from there the last full row of one kind does. */
function aliveAfter(seen: readonly boolean[], rise: number, fall: number): boolean {
  let alive = seen[0] ?? false;
  for (let end = 1; end <= seen.length; end++) {
    const lastRow = (kind: boolean, length: number) =>
      end - 1 >= length && seen.slice(end - length, end).every((passed) => passed === kind);
    if (lastRow(false, fall)) alive = false;
    if (lastRow(true, rise)) alive = true;
  }
  return alive;
}

test("damping: each fall soon after it came back doubles the rise, a quiet time forgives, and it falls as fast as ever", () => {
  const damped = { ...check, damp: 10_000 };
  let health = observe(initialHealth(damped, "ready"), good, damped, 0).health;
  let now = 0;
  /** Verdicts of one kind, 100 ms apart, that it takes to change the state. */
  const until = (verdict: Verdict): number => {
    for (let count = 1; ; count++) {
      now += 100;
      const step = observe(health, verdict, damped, now);
      health = step.health;
      if (step.change) {
        expect(step.change.progress).toEqual({ count, of: count });
        return count;
      }
    }
  };
  const rounds = Array.from({ length: 5 }, () => [until(bad), until(good)]);
  expect(rounds).toEqual([
    [3, 2],
    [3, 4],
    [3, 8],
    [3, 16],
    [3, 32],
  ]);
  for (let i = 0; i < 6; i++) [until(bad), until(good)];
  expect(until(bad)).toBe(3);
  expect(neededFor(health, damped)).toBe(128);
  expect(neededFor(health, check)).toBe(2);
  until(good);
  now += 10_000;
  expect([until(bad), until(good)]).toEqual([3, 2]);
});
