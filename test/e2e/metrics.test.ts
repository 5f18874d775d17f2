import { expect, test } from "bun:test";
import { peer } from "../../src/lab/peers.ts";
import { run } from "../../src/runtime/child.ts";
import { curlMany, startSluice, withLab } from "../lib/lab.ts";
import { noLab } from "../lib/skip.ts";
import { sluice } from "../lib/status.ts";

const promtool = noLab
  ? null
  : await peer("promtool").catch((error) => void console.error(`skipped: ${error.message}`));

test.skipIf(!promtool)("Prometheus' own promtool has nothing to say about the metrics", async () => {
  await withLab("proxy", async (lab) => {
    const daemon = await startSluice(lab, "director", "examples/proxy/sluice.yaml");
    await curlMany(lab, "http://125.12.12.12/", 5);
    const metrics = await sluice(lab, daemon, "metrics");
    expect(metrics).toMatch(/^sluice_\w+\{[^}]*service="web"[^}]*\} \d/m);
    const verdict = await run([promtool!.program, "check", "metrics"], { input: metrics, env: promtool!.env });
    expect([verdict.code, verdict.stdout + verdict.stderr]).toEqual([0, ""]);
  });
});
