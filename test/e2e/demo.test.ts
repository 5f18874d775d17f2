import { expect, test } from "bun:test";
import { DEMO_SCHEMA, type DemoReport } from "../../src/lab/demo/result.ts";
import { sluiceCommand } from "../../src/lab/paths.ts";
import { isOrphan, listStates } from "../../src/lab/state.ts";
import { run } from "../../src/runtime/child.ts";
import { noLab } from "../lib/skip.ts";

/** The demo as a user runs it: its exit code, its table, its talk. */
async function demo(...args: string[]): Promise<{ code: number; report: DemoReport; talk: string }> {
  const { code, stdout, stderr } = await run([sluiceCommand, "demo", "--json", ...args], { timeout: 80_000 });
  return { code, report: JSON.parse(stdout) as DemoReport, talk: stderr };
}

/** Labs whose demo ended without taking them down. */
const left = (): string[] =>
  listStates()
    .filter((s) => s.topology === "redirect" && isOrphan(s))
    .map((s) => s.name);

test.skipIf(noLab !== null)(
  "the demo of one method: all of it holds, by what was captured, and its lab is gone",
  async () => {
    const { code, report, talk } = await demo("--only", "redirect");
    expect([report.methods[0]?.failures, talk.includes("all of it holds"), code]).toEqual([[], true, 0]);
    expect(report).toMatchObject({ schema: DEMO_SCHEMA, ok: true, leftOut: [] });
    const [{ path, shares, death, tries }] = report.methods as [DemoReport["methods"][0]];
    expect(path).toMatchObject({ roundTrips: 4, bypassesDirector: true });
    expect(path!.hops.map(({ from, to }) => `${from} ${to}`).slice(0, 4)).toEqual([
      ...["client router", "router director", "director router", "router client"],
    ]);
    expect(shares!.backends.map(({ weight }) => weight)).toEqual([1, 2]);
    expect(death).toMatchObject({ lostBefore: 0, lostLate: 0, broken: 0 });
    expect(tries.find(({ command }) => command.startsWith("wget"))?.output).toContain("302 Found");
    expect(left()).toEqual([]);
  },
  90_000,
);

test.skipIf(process.platform !== "linux")(
  "without labs: the method runs on loopback, and what is left out says why",
  async () => {
    const { code, report } = await demo("--loopback", "--only", "proxy,direct");
    expect([report.methods[0]?.failures, code]).toEqual([[], 0]);
    expect(report.methods.map(({ method, where, path }) => [method, where, path])).toEqual([
      ["proxy", "loopback", null],
    ]);
    expect(report.methods[0]!.death).toMatchObject({ lost: 0, broken: 0 });
    expect(report.leftOut).toEqual([{ method: "direct", why: expect.stringContaining("lab") }]);
  },
  90_000,
);

test("a method that does not exist is refused, with the closest word", async () => {
  const { code, stderr } = await run([sluiceCommand, "demo", "--only", "tunel"]);
  expect(code).toBe(2);
  expect(stderr).toContain("Did you mean tunnel?");
});
