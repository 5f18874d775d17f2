import { describe, expect, test } from "bun:test";
import { ensureBuilt } from "../../../dataplane/build.ts";
import { xdpMissing } from "../../../dataplane/testing/network.ts";
import { netnsMissing } from "../../../system/netns-testing.ts";
import { aBackend, aService, aSnapshot, ask } from "../testing.ts";
import { bothWays, type Way } from "./compare.ts";
import { DnsCount } from "./layout.ts";
import { tooLong } from "./rates.ts";
import { servedApart } from "./settings.ts";

const limit = { perSecond: 1, burst: 3, slip: 2, except: [] as string[] };

test("a burst that the program's buckets cannot hold leaves all to the workers", () => {
  expect(tooLong({ ...limit, burst: 200 })).toBe(false);
  expect(tooLong({ ...limit, burst: 300 })).toBe(true);
  expect(servedApart({ rateLimit: { ...limit, burst: 300 }, cookies: { require: false } } as never)).not.toBeNull();
});

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: rates in XDP: ${missing}`);

describe.skipIf(missing !== null)("the program with a rateLimit", () => {
  const withLimit = async (more: object) => {
    ensureBuilt();
    return bothWays([aService("shop")], [aSnapshot("shop", [aBackend(0, "192.0.2.1")])], {
      clientSubnet: true,
      rateLimit: { ...limit, ...more },
    });
  };
  const query = ask({ name: "shop.example.com", edns: 1232 });
  const answers = (answer: Uint8Array | null): boolean =>
    answer !== null && answer.length > 0 && (answer[2]! & 2) === 0;
  const truncated = (answer: Uint8Array | null): boolean => answer !== null && answer.length > 0 && !answers(answer);
  const silent = (answer: Uint8Array | null): boolean => answer?.length === 0;
  const from = (source: string): Way => ({ ip: { source } });

  test("answers as many as a client may have, absent names too; of those beyond it says nothing", async () => {
    const ways = await withLimit({ slip: 0 });
    const missing = ask({ name: "no.example.com" });
    for (const message of [query, missing, query]) expect(answers(ways.kernel(message, 1))).toBe(true);
    // A slow machine may be given one more.
    const more = Array.from({ length: 5 }, () => ways.kernel(missing, 1));
    expect(more.filter(silent).length).toBeGreaterThan(0);
    // Its neighbour has a share of its own, and so has another family.
    expect(answers(ways.kernel(query, 1, from("192.0.2.10")))).toBe(true);
    expect(answers(ways.kernel(query, 1, { ipv6: true }))).toBe(true);
    // What the workers answer they count themselves.
    expect(ways.kernel(ask({ name: "shop.example.com", type: "ANY" }), 1)).toBeNull();
    const seen = new Map<number, number>();
    ways.program.takeCounts((counter, count) => seen.set(counter, count));
    expect(seen.get(DnsCount.DNS_COUNT_LIMITED)).toBe(more.filter(silent).length);
    ways.close();
  });

  test("sends every second of those beyond to TCP, with the workers' bytes", async () => {
    const ways = await withLimit({});
    const subnet = Uint8Array.from([...query.subarray(0, -2), 0, 11, 0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2]);
    const all = Array.from({ length: 12 }, () => ways.kernel(subnet, 1));
    const sent = all.filter(truncated);
    expect(sent.length).toBeGreaterThan(1);
    expect(Math.abs(all.filter(silent).length - sent.length)).toBeLessThanOrEqual(1);
    const workers = Array.from({ length: 12 }, () => Buffer.from(ways.worker(subnet, 1)));
    const wanted = workers.find(truncated)!;
    for (const answer of sent) expect(Buffer.from(answer!)).toEqual(wanted);
    ways.close();
  });

  test("never limits the networks of except, nor a wide network as it does an address", async () => {
    const ways = await withLimit({ except: ["198.51.100.0/25", "2001:db8::/64"] });
    for (let i = 0; i < 40; i++) {
      expect(answers(ways.kernel(query, 1, from("198.51.100.9")))).toBe(true);
      expect(answers(ways.kernel(query, 1, { ipv6: true }))).toBe(true);
      expect(answers(ways.kernel(query, 1, from(`192.0.2.${100 + i}`)))).toBe(true);
    }
    // A /24 has 32 times what an address has: 96, of which 40 are gone, and 32 more with each second.
    const others = Array.from({ length: 200 }, (_, i) => (i < 100 ? i : i + 40));
    const more = others.map((last) => ways.kernel(query, 1, from(`192.0.2.${last}`)));
    expect(more.slice(0, 50).every(answers)).toBe(true);
    expect(more.some(silent)).toBe(true);
    ways.close();
  });
});
