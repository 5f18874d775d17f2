import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { testBackend, testService } from "../../dataplane/testing/doors.ts";
import { Bench, mac } from "../../dataplane/testing/fixtures.ts";
import { checksumsHold, frame, udp } from "../../dataplane/testing/frames.ts";
import { xdpMissing } from "../../dataplane/testing/network.ts";
import { passThrough } from "../../dataplane/testing/pass-through.ts";
import { runFixture } from "../../dataplane/testing/run-fixtures.ts";
import { netnsMissing } from "../../system/netns-testing.ts";
import { packets, real, vip } from "./packets.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: packets of tunnel: ${missing}`);
const vips = [
  { address: vip, port: 80, protocol: "tcp" as const },
  { address: vip, port: 53, protocol: "udp" as const },
];

describe.skipIf(missing !== null)("packets of tunnel", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.create("tunnel", testService("web", vips, [testBackend(1, real, null)]));
  }, 60_000);
  afterAll(() => bench?.close());

  for (const fixture of [...packets, ...passThrough(vip)])
    test(fixture.name, () => runFixture(bench, "tunnel", "web", fixture));

  test("what may be fragmented gets an identification of its own outside", () => {
    const packet = udp({ source: "202.20.20.20", target: vip }, { sourcePort: 1, targetPort: 53 }, [1, 2, 3]);
    const ids = new Set<number>();
    for (let i = 0; i < 8; i++) {
      const { verdict, output } = bench.run(frame(mac.gateway, mac.director, packet));
      expect(verdict).toBe("tx");
      expect(checksumsHold(output.subarray(14))).toBe(true);
      expect(output[20]).toBe(0);
      ids.add((output[18]! << 8) | output[19]!);
    }
    expect(ids.size).toBeGreaterThan(1);
  });
});
