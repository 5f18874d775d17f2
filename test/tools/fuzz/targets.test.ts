import { expect, test } from "bun:test";
import { eachInput, Fault, type FuzzTarget, sequence } from "./target.ts";
import { targets } from "./targets.ts";

/** Inputs of a short run, and the fewest outcomes that show that the inputs reach far. */
const short: Record<string, [inputs: number, outcomes: number]> = {
  "http-request": [20_000, 50],
  "http-response": [20_000, 30],
  chunked: [20_000, 6],
  "proxy-protocol": [20_000, 7],
  "agent-line": [20_000, 12],
  "route-conditions": [20_000, 20],
  dns: [20_000, 5],
  "dns-xdp": [500, 5],
  config: [300, 15],
  packets: [20_000, 60],
};

const lacks = (name: string, { missing }: FuzzTarget): string | null => {
  const why = missing?.() ?? null;
  if (why !== null) console.log(`skipped: fuzz ${name}: ${why}`);
  return why;
};

for (const [name, target] of Object.entries(targets))
  test.skipIf(lacks(name, target) !== null)(`${name}: ${target.summary}`, async () => {
    const [inputs, outcomes] = short[name]!;
    const run = await target.run(inputs, sequence(1));
    expect(run.faults).toEqual([]);
    expect(run.outcomes.size).toBeGreaterThanOrEqual(outcomes);
    expect([...run.outcomes.values()].reduce((sum, n) => sum + n, 0)).toBe(inputs);
  });

test("a throw and a broken rule are faults, with the input", () => {
  const run = eachInput(
    () => Buffer.from([1, 255]),
    (_input, random) => {
      if (random() < 0.5) throw new Fault("a rule");
      throw new Error("oops");
    },
  )(8, sequence(1));
  expect(run.faults.length).toBe(8);
  expect(new Set(run.faults.map(({ why }) => why))).toEqual(new Set(["a rule", "threw Error: oops"]));
  expect(run.faults[0]!.hex).toBe("01ff");
});

test("a seed gives the same inputs", async () => {
  const outcomes = async (seed: number) => [...(await targets.chunked!.run(500, sequence(seed))).outcomes].sort();
  expect(await outcomes(7)).toEqual(await outcomes(7));
  expect(await outcomes(7)).not.toEqual(await outcomes(8));
});
