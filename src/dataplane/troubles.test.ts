import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { BackendState } from "../core/backend.ts";
import { netnsMissing } from "../system/netns-testing.ts";
import { control } from "./generated/layout.ts";
import { setWord } from "./memory.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench, mac } from "./testing/fixtures.ts";
import { frame, SYN, tcp } from "./testing/frames.ts";
import { xdpMissing } from "./testing/network.ts";
import { Troubles } from "./troubles.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: a full flow table: ${missing}`);
const vip = (address: string) => [{ address, port: 80, protocol: "tcp" as const }];
const web = (first: BackendState) =>
  testService("web", vip("125.12.12.77"), [
    testBackend(1, "125.12.12.20", null, first),
    testBackend(2, "125.12.12.21", null, first === "up" ? "draining" : "up"),
  ]);
const other = testService("other", vip("125.12.12.78"), [testBackend(1, "125.12.12.22", null)]);

describe.skipIf(missing !== null)("a flow table without room", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.create("direct", web("up"));
  }, 60_000);
  afterAll(() => bench?.close());

  const open = (count: number, target = "125.12.12.77"): (number | null)[] =>
    Array.from({ length: count }, (_, i) => {
      const packet = tcp({ source: "202.20.20.20", target }, { sourcePort: 3000 + i, targetPort: 80 }, SYN);
      const { verdict, output } = bench.run(frame(mac.gateway, mac.director, packet));
      return verdict === "tx" ? output[5]! : null;
    });

  test("sends new flows where they will stay, drops those that nobody would keep, says so, and touches no other service", () => {
    bench.commit("direct", [web("up"), other]);
    const troubles = new Troubles(bench.plane, "direct", () => {});
    expect(troubles.of("web").filter(({ code }) => code === "SLUICE_FLOWS_FULL")).toEqual([]);
    // One bucket of four flows for all services.
    setWord(bench.plane.memory.control_words, 0, control.flowMask, 0);
    bench.commit("direct", [web("draining"), other]);
    const sent = open(12);
    expect(sent.slice(0, 4)).toEqual([21, 21, 21, 21]);
    // Unrecorded ones go to the base of their slot, where their later packets will go too.
    expect(new Set(sent.slice(4))).toEqual(new Set([20]));
    expect(bench.drops("direct", "web")).toEqual({});
    expect(troubles.of("web").map(({ code }) => code)).toContain("SLUICE_FLOWS_FULL");
    bench.commit("direct", [web("down"), other]);
    expect(open(12).slice(4)).toEqual(new Array(8).fill(null));
    expect(bench.drops("direct", "web")).toEqual({ SLUICE_DROP_TABLE_FULL: 8 });
    expect(new Set(open(12, "125.12.12.78"))).toEqual(new Set([22]));
    expect(bench.drops("direct", "other")).toEqual({});
    expect(troubles.of("other").filter(({ code }) => code === "SLUICE_FLOWS_FULL")).toEqual([]);
  });
});
