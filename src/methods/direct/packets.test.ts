import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { testBackend, testService } from "../../dataplane/testing/doors.ts";
import { Bench } from "../../dataplane/testing/fixtures.ts";
import { xdpMissing } from "../../dataplane/testing/network.ts";
import { passThrough, unreadTags } from "../../dataplane/testing/pass-through.ts";
import { patience } from "../../dataplane/testing/patience.ts";
import { runFixture } from "../../dataplane/testing/run-fixtures.ts";
import { netnsMissing } from "../../system/netns-testing.ts";
import { narrow, narrowPackets, packets, packets6, taggedPackets, vip, vip6 } from "./packets.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: packets of direct: ${missing}`);

const service = (states: ("up" | "down")[]) =>
  testService(
    "web",
    [
      { address: vip, port: 80, protocol: "tcp" },
      { address: vip, port: 53, protocol: "udp" },
      { address: vip6, port: 80, protocol: "tcp" },
      { address: vip6, port: 53, protocol: "udp" },
    ],
    states.map((state, i) => testBackend(i + 1, `125.12.12.${20 + i}`, null, state)),
  );

describe.skipIf(missing !== null)("packets of direct", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.create("direct", service(["up"]));
  }, patience(60_000));
  afterAll(() => bench?.close());

  for (const fixture of [...packets, ...packets6, ...passThrough(vip)])
    test(fixture.name, () => runFixture(bench, "direct", "web", fixture));

  for (const [vlan, fixtures] of Object.entries(taggedPackets))
    for (const fixture of fixtures)
      test(fixture.name, () => {
        bench.vlan = Number(vlan);
        bench.commit("direct", service(["up"]));
        runFixture(bench, "direct", "web", fixture);
        bench.vlan = 0;
        bench.commit("direct", service(["up"]));
      });

  for (const fixture of narrowPackets)
    test(fixture.name, () => {
      bench.vlan = narrow.vlan;
      bench.commit("direct", service(["up"]), narrow.mtu);
      runFixture(bench, "direct", "web", fixture);
      bench.vlan = 0;
      bench.commit("direct", service(["up"]));
    });

  test("frames whose tags are not read are counted, those for other hosts and untagged ones are not", () => {
    const before = bench.plane.counting.tagged;
    for (const { input } of unreadTags(vip)) bench.run(input);
    for (const { input } of unreadTags(vip)) bench.run(input.with(5, 0x99));
    for (const { input } of passThrough(vip).slice(0, 3)) bench.run(input);
    expect(bench.plane.counting.tagged - before).toBe(3);
    expect(bench.plane.counting.describe()[0]).toContain("SLUICE_PASS_TAGS");
  });

  test("without the supervisor's heartbeat the kernel is asked, and the cached MAC is the second best", () => {
    bench.heartbeat(false);
    runFixture(bench, "direct", "web", packets[0]!);
    bench.heartbeat(true);
  });

  test("without an eligible backend a packet is dropped by name", () => {
    bench.commit("direct", service(["down"]));
    const dropped = { ...packets[0]!, verdict: "drop" as const, reason: "SLUICE_DROP_NO_BACKEND" as const };
    runFixture(bench, "direct", "web", dropped);
    expect(bench.run(packets[0]!.input).verdict).toBe("drop");
  });
});
