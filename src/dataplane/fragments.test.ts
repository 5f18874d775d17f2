import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { BackendState } from "../core/backend.ts";
import { netnsMissing } from "../system/netns-testing.ts";
import type { ForwardName } from "./plane-service.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench, mac } from "./testing/fixtures.ts";
import { fragment6, frame, ipv4, ipv6, udp } from "./testing/frames.ts";
import { xdpMissing } from "./testing/network.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: fragments: ${missing}`);

const families = {
  IPv4: { vip: "125.12.12.77", client: "202.20.20.20", other: "202.20.20.21", backend: "125.12.12." },
  IPv6: { vip: "2001:db8:12::77", client: "2001:db8:20::20", other: "2001:db8:20::21", backend: "2001:db8:12::" },
} as const;
type Family = keyof typeof families;
type Part = "first" | "middle" | "last" | "least";

/** A datagram of 60 bytes of UDP in three parts: 24, 24 and 12; and the last part of one of 49 bytes. */
const cuts: Record<Part, [from: number, to: number, more: boolean]> = {
  first: [0, 24, true],
  middle: [24, 48, true],
  last: [48, 60, false],
  least: [48, 49, false],
};

function part(family: Family, which: Part, id: number, port: number, client: string): Uint8Array {
  const ip = { source: client, target: families[family].vip };
  const whole = udp(ip, { sourcePort: port, targetPort: 53 }, new Array(52).fill(7));
  const body = whole.slice(family === "IPv6" ? 40 : 20);
  const [from, to, more] = cuts[which];
  const piece = body.slice(from, to);
  const packet =
    family === "IPv6"
      ? ipv6(ip, 44, fragment6(17, id, from / 8, more, piece))
      : ipv4({ ...ip, id, offset: from / 8, moreFragments: more }, 17, piece);
  return frame(mac.gateway, mac.director, packet);
}

for (const forward of ["direct", "tunnel", "nat"] as const satisfies ForwardName[])
  for (const family of Object.keys(families) as Family[])
    describe.skipIf(missing !== null)(`fragments over ${family} through ${forward}`, () => {
      const { vip, client, other, backend } = families[family];
      // A tunnel and a MAC carry either family; only nat needs the same.
      const address = (last: number): string => `${forward === "nat" ? backend : "125.12.12."}${last}`;
      const serviceOf = (states: readonly BackendState[]) => ({
        ...testService(
          "web",
          [{ address: vip, port: 53, protocol: "udp" as const }],
          states.map((state, i) => testBackend(i + 1, address(21 + i), null, state)),
        ),
        slots: 251,
      });
      let bench: Bench;
      beforeAll(async () => {
        bench = await Bench.create(forward, serviceOf(["up", "up", "up"]));
      }, 60_000);
      afterAll(() => bench?.close());

      /** Last octet of the MAC it went to: each backend has its own; null when it was dropped. */
      const send = (which: Part, id: number, port: number, from: string = client): number | null => {
        const { verdict, output } = bench.run(part(family, which, id, port, from));
        expect(["tx", "drop"]).toContain(verdict);
        return verdict === "tx" ? output[5]! : null;
      };
      const lost = (): number => bench.drops(forward, "web").SLUICE_DROP_FRAGMENT ?? 0;
      const ids = Array.from({ length: 40 }, (_, i) => i);

      test("all parts of a datagram have one backend, in any order after the first", () => {
        const first = ids.map((i) => send("first", 100 + i, 4000 + i));
        expect(new Set(first).size).toBe(3);
        expect(ids.map((i) => send("last", 100 + i, 0))).toEqual(first);
        expect(ids.map((i) => send("middle", 100 + i, 0))).toEqual(first);
        // A copy of a part, as the network may make one.
        expect(ids.map((i) => send("last", 100 + i, 0))).toEqual(first);
      });

      test("a last part of a single byte goes where the others went", () => {
        const first = ids.map((i) => send("first", 700 + i, 4000 + i));
        expect(ids.map((i) => send("least", 700 + i, 0))).toEqual(first);
      });

      test("a part that comes before the first is a counted drop, and the rest goes on when it is there", () => {
        const before = lost();
        expect(ids.map((i) => send("last", 200 + i, 0))).toEqual(ids.map(() => null));
        expect(lost() - before).toBe(ids.length);
        const first = ids.map((i) => send("first", 200 + i, 5000 + i));
        expect(ids.map((i) => send("last", 200 + i, 0))).toEqual(first);
        expect(lost() - before).toBe(ids.length);
      });

      test("an identification is one client's: another's parts with the same one are its own", () => {
        const before = lost();
        const first = ids.map((i) => send("first", 300 + i, 6000 + i));
        expect(ids.map((i) => send("last", 300 + i, 0, other))).toEqual(ids.map(() => null));
        expect(lost() - before).toBe(ids.length);
        const others = ids.map((i) => send("first", 300 + i, 7000 + i, other));
        expect(others).not.toEqual(first);
        expect(ids.map((i) => send("last", 300 + i, 0))).toEqual(first);
        expect(ids.map((i) => send("last", 300 + i, 0, other))).toEqual(others);
      });

      test("a datagram that is cut short by a change ends at the backend where it began", () => {
        const first = ids.map((i) => send("first", 400 + i, 8000 + i));
        bench.commit(forward, serviceOf(["up", "draining", "up"]));
        expect(ids.map((i) => send("last", 400 + i, 0))).toEqual(first);
        // The flow is what it was too: its next datagram goes there.
        expect(ids.map((i) => send("first", 500 + i, 8000 + i))).toEqual(first);
        const fresh = ids.map((i) => send("first", 600 + i, 9000 + i));
        expect(ids.map((i) => send("last", 600 + i, 0))).toEqual(fresh);
      });
    });
