import { expect, test } from "bun:test";
import type { DemoReport } from "../../src/lab/demo/result.ts";
import { sluiceCommand } from "../../src/lab/paths.ts";
import { run } from "../../src/runtime/child.ts";
import { noXdp } from "../lib/skip.ts";

test.skipIf(noXdp !== null)("the whole demo: all six methods in their labs, and all of it holds", async () => {
  const { code, stdout, stderr } = await run([sluiceCommand, "demo", "--json"], { timeout: 600_000 });
  const report = JSON.parse(stdout) as DemoReport;
  expect(report.methods.map(({ method }) => method)).toEqual(["redirect", "dns", "proxy", "nat", "direct", "tunnel"]);
  expect(report.methods.flatMap(({ failures }) => failures)).toEqual([]);
  expect([code, report.ok, report.leftOut, stderr.includes("all of it holds")]).toEqual([0, true, [], true]);
});
