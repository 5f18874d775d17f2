import { afterEach, describe, expect, test } from "bun:test";
import { parseMac } from "../system/net.ts";
import { netnsMissing } from "../system/netns-testing.ts";
import { Explainer, frameOf } from "./explain.ts";
import { Limit, nextHop } from "./generated/layout.ts";
import { headersOf, headersText } from "./leaving.ts";
import { setWord } from "./memory.ts";
import type { ForwardName, PlaneService } from "./plane-service.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench, mac } from "./testing/fixtures.ts";
import { xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: packets that would leave: ${missing}`);
const VIP = "125.12.12.77";
const VIP6 = "2001:db8:12::77";

describe.skipIf(missing !== null)("what would leave, of a packet that nobody has sent", () => {
  let bench: Bench | undefined;
  let explainer: Explainer | null = null;
  afterEach(() => {
    explainer?.close();
    bench?.close();
    [bench, explainer] = [undefined, null];
  });

  const serviceOf = (backends: string[], port: number | null, more: Partial<PlaneService> = {}): PlaneService => ({
    ...testService(
      "web",
      [VIP, VIP6].map((address) => ({ address, port: 80, protocol: "tcp" as const })),
      backends.map((address, i) => testBackend(i + 1, address, port)),
    ),
    ...more,
  });

  /** What the balancer itself makes of a frame. */
  function sent(frame: Uint8Array): Uint8Array {
    frame.set(parseMac(mac.director)!);
    return bench!.run(frame).output;
  }

  /** The packet's headers in words, of a first packet and of a later one. */
  async function leaving(forward: ForwardName, service: PlaneService, vip = VIP, vlan = 0): Promise<string[]> {
    bench = await Bench.create(forward, service);
    bench.vlan = vlan;
    bench.commit(forward, service);
    explainer = Explainer.open(bench.plane.kernel.pins.root)!;
    const from = { address: vip === VIP ? "202.20.20.20" : "2001:db8:20::20", port: 5656 };
    return [true, false].map((begins) => {
      const question = { from, to: { address: vip, port: 80 }, protocol: "tcp" as const, begins };
      const answer = bench!.netns.inside(() => explainer!.ask(question))!;
      expect(answer.leaving!.device).toBe("eth0");
      expect(answer.leaving!.headers).toEqual(headersOf(sent(frameOf(question)), forward === "tunnel"));
      return headersText(answer.leaving!.headers);
    });
  }
  /** MACs towards 125.12.12.20. */
  const ethernet = `${mac.director} > ${mac.backend.slice(0, 15)}14`;
  const asSent = "IPv4 202.20.20.20 > 125.12.12.77, TTL 64 | TCP 5656 > 80";

  test(
    "has other MACs with direct",
    async () => {
      const [first] = await leaving("direct", serviceOf(["125.12.12.20"], null));
      expect(first).toBe(`${ethernet} | ${asSent}`);
    },
    patience(30_000),
  );

  test(
    "is tagged where the way is",
    async () => {
      const [first] = await leaving("direct", serviceOf(["125.12.12.20"], null), VIP, 7);
      expect(first).toBe(`${ethernet}, VLAN 7 | ${asSent}`);
    },
    patience(30_000),
  );

  test(
    "has another address and port with nat, and one hop less",
    async () => {
      const [first] = await leaving("nat", serviceOf(["125.12.12.20"], 8080));
      expect(first).toEndWith(" | IPv4 202.20.20.20 > 125.12.12.20, TTL 63 | TCP 5656 > 8080");
    },
    patience(30_000),
  );

  test(
    "is as it came inside an outer header with tunnel",
    async () => {
      const [first] = await leaving("tunnel", serviceOf(["198.51.100.20"], null));
      expect(first).toEndWith(` | IPv4 125.12.12.12 > 198.51.100.20, TTL 64 | ${asSent}`);
    },
    patience(30_000),
  );

  test(
    "is so with IPv6 around IPv6",
    async () => {
      const [first] = await leaving("tunnel", serviceOf(["2001:db8:99::20"], null), VIP6);
      expect(first).toEndWith(
        " | IPv6 2001:db8:12::12 > 2001:db8:99::20, hop limit 64 | IPv6 2001:db8:20::20 > 2001:db8:12::77, hop limit 64 | TCP 5656 > 80",
      );
    },
    patience(30_000),
  );

  test(
    "names in GUE who else may have its flow, but for one that begins",
    async () => {
      const far = ["198.51.100.20", "198.51.100.21", "198.51.100.22"];
      const [first, later] = await leaving("tunnel", serviceOf(far, null, { guePort: 6080, secondChance: true }));
      expect(first).toMatch(
        / \| IPv4 125\.12\.12\.12 > 198\.51\.100\.2\d, TTL 64 \| UDP \d+ > 6080 \| GUE \| IPv4 202.*TCP 5656 > 80$/,
      );
      const [, target, others] =
        /> (198\.51\.100\.2\d), TTL 64 \| UDP \d+ > 6080 \| GUE that also names ([\d., ]+) \| IPv4 202.*TCP 5656 > 80$/.exec(
          later!,
        )!;
      expect([target, ...others!.split(", ")].sort()).toEqual(far);
    },
    patience(30_000),
  );

  test(
    "is nothing while nobody knows the way",
    async () => {
      await leaving("direct", serviceOf(["125.12.12.20"], null));
      for (let number = 0; number < Limit.MAX_HOPS; number++)
        setWord(bench!.plane.memory.next_hops, number, nextHop.ifindex, 0);
      const from = { address: "202.20.20.20", port: 5656 };
      const question = { from, to: { address: VIP, port: 80 }, protocol: "tcp" as const, begins: true };
      const answer = bench!.netns.inside(() => explainer!.ask(question))!;
      expect([answer.backend?.address, answer.leaving]).toEqual(["125.12.12.20", null]);
    },
    patience(30_000),
  );
});
