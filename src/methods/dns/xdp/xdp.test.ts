import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { udpSocket } from "bun";
import packet from "dns-packet";
import { ensureBuilt, objectPath } from "../../../dataplane/build.ts";
import { internetChecksum, tagged } from "../../../dataplane/testing/frames.ts";
import { xdpMissing } from "../../../dataplane/testing/network.ts";
import { linkXdp } from "../../../system/libbpf.ts";
import { closeFd, ifindexOf, parseMac } from "../../../system/net.ts";
import { createTestNetns, netnsMissing, wire } from "../../../system/netns-testing.ts";
import { testRun } from "../../../system/test-run.ts";
import { aBackend, aService, aSnapshot, ask } from "../testing.ts";
import { bothWays, compareMany, frameOf } from "./compare.ts";
import { DnsCount } from "./layout.ts";
import { LiveSets } from "./live.ts";
import { numbers, services, settings, snapshots } from "./queries.ts";
import { setsOf } from "./view.ts";

/** Queries: an emulated machine takes a hundred times as long for each. */
const COMPARED = process.env.SLUICE_TEST_KERNEL ? 1000 : 5000;

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: answers from XDP: ${missing}`);

describe.skipIf(missing !== null)("the program", () => {
  let ways: Awaited<ReturnType<typeof bothWays>>;
  beforeAll(async () => {
    ensureBuilt();
    ways = await bothWays(services, snapshots, settings);
  });
  afterAll(() => ways?.close());

  test("gives the bytes that the workers give, or passes the frame as it came", () => {
    const { outcomes, faults } = compareMany(ways, COMPARED, numbers(1));
    expect(faults).toEqual([]);
    for (const outcome of ["passed", "rcode 3, 0+1", "rcode 0, 0+1", "rcode 0, 1+0", "rcode 0, 5+0", "rcode 0, 40+0"])
      expect(outcomes.get(outcome)).toBeGreaterThan(0);
  });

  test("answers all plain questions itself", () => {
    const asked = (name: string, type: string, more = {}) => ways.kernel(ask({ name, type, ...more }), 12345);
    for (const [name, type] of [
      ["one.example.com", "A"],
      ["BoTh.eXample.COM", "AAAA"],
      ["both.example.com", "A"],
      ["one.example.com", "AAAA"],
      ["both.example.com", "TXT"],
      ["mail.example.com", "TYPE65"],
      ["gone.example.com", "A"],
      ["dead.example.com", "A"],
      ["groups.example.com", "A"],
      ["drawn.example.com", "A"],
      ["shares.example.com", "A"],
      ["near.example.com", "A"],
      ["near.example.com", "AAAA"],
      ["nest.example.com", "A"],
      ["nest.example.com", "AAAA"],
      ["x.star.example.com", "A"],
      ["Y.x.star.example.com", "AAAA"],
      ["nobody.example.com", "A"],
      ["a.b.c.d.nobody.example.com", "AAAA"],
      ["b.c.example.com", "A"],
      ["example.com", "NS"],
      ["example.com", "MX"],
      [services.find((s) => s.name === "long")!.names[0]!, "A"],
    ] as const) {
      const plain = type === "TYPE65" ? typed(ask({ name, type: "A" }), 65) : ask({ name, type });
      expect(ways.kernel(plain, 7)).not.toBeNull();
      if (type !== "TYPE65") expect(asked(name, type, { edns: 1232, dnssecOk: true })).not.toBeNull();
    }
  });

  test("tells for which network an answer holds: of places where they had a part, also where another place has addresses", () => {
    const scopes = new Set<string>();
    for (const name of ["near.example.com", "nest.example.com", "one.example.com"])
      for (const type of ["A", "AAAA"])
        for (const network of [
          [198, 51, 100],
          [203, 0, 113],
          [198, 18, 7],
        ])
          for (let i = 0; i < 16; i++) {
            const query = ask({ name, type, edns: 1232 });
            const subnet = [0, 8, 0, 7, 0, 1, 24, 0, ...network];
            const message = Uint8Array.from([...query.subarray(0, -2), 0, subnet.length, ...subnet]);
            const random = Math.imul(i, 0x9e3779b1) >>> 0;
            const answer = ways.kernel(message, random)!;
            expect(Buffer.from(answer)).toEqual(Buffer.from(ways.worker(message, random)));
            scopes.add(`${name} ${answer[7] === 0 ? "nothing" : "addresses"} ${answer.at(-4)! > 0 ? "some" : "all"}`);
          }
    expect([...scopes].sort()).toEqual([
      "near.example.com addresses some",
      "near.example.com nothing some",
      "nest.example.com addresses all",
      "nest.example.com addresses some",
      "one.example.com addresses all",
      "one.example.com nothing all",
    ]);
  });

  test("passes what is the workers'", () => {
    for (const [name, type] of [
      ["sticky.example.com", "A"],
      ["hashed.example.com", "A"],
      ["fallback.example.com", "A"],
      ["failing.example.com", "A"],
      ["www.example.com", "A"],
      ["x.old.example.com", "A"],
      ["a.sub.example.com", "A"],
      ["big.example.com", "TXT"],
      ["example.org", "A"],
      ["one.example.com", "ANY"],
      ["sub.example.com", "DS"],
      ["example.com", "SOA"],
    ] as const)
      expect(ways.kernel(ask({ name, type }), 7)).toBeNull();
    // Hints about a service's name are those of the moment.
    expect(ways.kernel(typed(ask({ name: "both.example.com", type: "A" }), 65), 7)).toBeNull();
    const plain = ask({ name: "one.example.com" });
    expect(ways.kernel(plain, 7, { ip: { moreFragments: true } })).toBeNull();
    expect(ways.kernel(plain, 7, { ip: { offset: 1 } })).toBeNull();
    expect(ways.kernel(plain, 7, { ip: { options: [1, 1, 1, 1] } })).toBeNull();
    expect(ways.kernel(plain, 7, { ip: { source: "127.0.0.1" } })).toBeNull();
    expect(ways.kernel(plain, 7, { ip: { target: "192.0.2.54" } })).toBeNull();
  });

  test("passes what the kernel would not take, or nobody should be answered at", () => {
    const plain = ask({ name: "one.example.com" });
    for (const way of [
      { ip: { source: "192.0.2.53" } },
      { ip: { source: "0.1.2.3" } },
      { ip: { source: "224.0.0.1" } },
      { ip: { source: "255.255.255.255" } },
      { ipv6: true, ip: { source: "2001:db8::53" } },
      { ipv6: true, ip: { source: "ff02::1" } },
      { ipv6: true, ip: { source: "::1" } },
      { sourceMac: "ff:ff:ff:ff:ff:ff" },
      { sourceMac: "01:00:5e:00:00:01" },
      { sourcePort: 0 },
      { tag: 7, vlan: 8 },
      { tag: 7, vlan: 0 },
      { vlan: 7 },
    ])
      expect([way, ways.kernel(plain, 7, way)]).toEqual([way, null]);
    // A priority tag names no VLAN.
    expect(ways.kernel(plain, 7, { tag: 0xe000, vlan: 0 })).not.toBeNull();
    expect(ways.kernel(plain, 7, { tag: 0xe007, vlan: 7 })).not.toBeNull();
  });

  test("passes frames whose lengths or checksums contradict each other", () => {
    const good = frameOf(ask({ name: "one.example.com" }));
    const verdict = (change: (frame: Uint8Array) => Uint8Array | undefined): number => {
      ways.kernel(ask({ name: "one.example.com" }), 7);
      const bytes = Uint8Array.from(good);
      return testRun(ways.program.fd("dns_fixed"), change(bytes) ?? bytes, 1).verdict;
    };
    const [PASS, TX] = [2, 3];
    const header = (bytes: Uint8Array, at: number, more: number): undefined => {
      bytes[at]! += more;
      bytes.set([0, 0], 24);
      const sum = internetChecksum(bytes.subarray(14, 34));
      bytes.set([sum >> 8, sum & 255], 24);
    };
    const octet =
      (at: number, more: number) =>
      (bytes: Uint8Array): undefined => {
        bytes[at]! += more;
      };
    const [length, ttl, source, udpLength] = [17, 22, 29, 39];
    expect(verdict(() => undefined)).toBe(TX);
    // A trailer behind the packet is the wire's.
    expect(verdict((bytes) => Uint8Array.from([...bytes, 1, 2, 3, 4, 5]))).toBe(TX);
    expect(verdict((bytes) => bytes.subarray(0, bytes.length - 1))).toBe(PASS);
    expect(verdict((bytes) => header(bytes, length, 1))).toBe(PASS);
    expect(verdict((bytes) => header(bytes, length, -1))).toBe(PASS);
    expect(verdict(octet(udpLength, 1))).toBe(PASS);
    expect(verdict(octet(udpLength, -1))).toBe(PASS);
    expect(verdict(octet(source, 1))).toBe(PASS);
    expect(verdict((bytes) => header(bytes, ttl, 1))).toBe(TX);
    // Two tags.
    expect(verdict((bytes) => tagged(tagged(bytes, 5), 0))).toBe(PASS);
  });

  test("draws its own numbers by weight", () => {
    const counts = new Map<string, number>();
    const draws = 6000;
    const query = ask({ name: "weights.example.com" });
    for (let i = 0; i < draws; i++) {
      const answer = packet.decode(Buffer.from(ways.kernelDrawn(query)!)).answers![0] as { data: string };
      counts.set(answer.data, (counts.get(answer.data) ?? 0) + 1);
    }
    // Weights 1 to 5; within five standard deviations.
    for (let weight = 1; weight <= 5; weight++) {
      const p = weight / 15;
      expect(Math.abs(counts.get(`192.0.2.${weight}`)! - draws * p)).toBeLessThan(5 * Math.sqrt(draws * p * (1 - p)));
    }
  });

  test("counts what it answered, for whom, and what it passed", () => {
    ways.program.takeCounts(() => {});
    const seen = new Map<number, number>();
    ways.kernel(ask({ name: "one.example.com" }), 1);
    ways.kernel(ask({ name: "one.example.com", type: "AAAA" }), 1);
    ways.kernel(ask({ name: "no.example.com" }), 1);
    ways.kernel(ask({ name: "example.org" }), 1);
    ways.kernel(ask({ name: "sticky.example.com" }), 1);
    ways.program.takeCounts((counter, more) => seen.set(counter, more));
    const { counter } = ways.view.services[0]!;
    expect(Object.fromEntries(seen)).toEqual({
      [DnsCount.DNS_COUNT_SERVICE]: 2,
      [DnsCount.DNS_COUNT_NXDOMAIN]: 1,
      [DnsCount.DNS_COUNT_NAME]: 1,
      [DnsCount.DNS_COUNT_CLIENT]: 1,
      [counter]: 1,
      [counter + 1]: 1,
    });
  });

  test("says nothing once the daemon is silent", () => {
    const query = ask({ name: "one.example.com" });
    ways.signs.given = false;
    ways.program.hush();
    expect(ways.kernel(query, 1)).toBeNull();
    ways.signs.given = true;
    ways.program.beat();
    expect(ways.kernel(query, 1)).not.toBeNull();
  });

  test("an address that the host has no more is not answered for", () => {
    const query = ask({ name: "one.example.com" });
    const [v4, v6] = ["192.0.2.53", "2001:db8::53"].map((address) => ({ address, port: 53 }));
    ways.program.listen([v6!]);
    expect(ways.kernel(query, 1)).toBeNull();
    expect(ways.kernel(query, 1, { ipv6: true })).not.toBeNull();
    ways.program.listen([v4!, v6!]);
    expect(ways.kernel(query, 1)).not.toBeNull();
    expect(ways.kernel(query, 1, { ipv6: true })).not.toBeNull();
  });

  test("a change shows at once; one that comes while readers may be left is the workers' for a moment", () => {
    const clock = { at: 0 };
    const sets = new LiveSets(ways.program, () => clock.at);
    const number = services.findIndex(({ name }) => name === "both");
    const service = services[number]!;
    const { rooms, set } = ways.view.services[number]!;
    const show = (states: readonly ("up" | "down")[]) => {
      const backends = states.map((state, i) => aBackend(i, `192.0.2.${i + 1}`, { state }));
      const snapshot = aSnapshot("both", backends);
      return sets.show(set, false, setsOf(service, snapshot, [])[0]!, rooms[0]!);
    };
    const answered = (): string[] | null => {
      const answer = ways.kernel(ask({ name: "both.example.com" }), 3);
      return (
        answer &&
        packet
          .decode(Buffer.from(answer))
          .answers!.map((a) => (a as { data: string }).data)
          .sort()
      );
    };
    expect(show(["up", "down"])).toBe("shown");
    expect(answered()).toEqual(["192.0.2.1"]);
    clock.at = 10;
    expect(show(["down", "up"])).toBe("later");
    expect(answered()).toBeNull();
    clock.at = 200;
    expect(show(["down", "up"])).toBe("shown");
    expect(answered()).toEqual(["192.0.2.2"]);
    clock.at = 400;
    expect(show(["up", "up"])).toBe("shown");
    expect(answered()).toEqual(["192.0.2.1", "192.0.2.2"]);
  });
});

test.skipIf(missing !== null)("where options change the answer, only those questions pass", async () => {
  ensureBuilt();
  const service = aService("shop");
  const more = { nsid: "here", clientSubnet: true };
  const ways = await bothWays([service], [aSnapshot("shop", [aBackend(0, "192.0.2.1")])], more);
  const withOption = (code: number, data: number[]): Uint8Array => {
    const query = ask({ name: "shop.example.com", edns: 1232 });
    const opt = [code >> 8, code & 255, 0, data.length, ...data];
    return Uint8Array.from([...query.subarray(0, query.length - 2), 0, opt.length, ...opt]);
  };
  expect(ways.kernel(withOption(65_001, [1, 2, 3]), 1)).toEqual(ways.worker(withOption(65_001, [1, 2, 3]), 1));
  expect(ways.kernel(withOption(3, []), 1)).toBeNull();
  const subnet = withOption(8, [0, 1, 24, 0, 192, 0, 2]);
  expect(ways.kernel(subnet, 1)).toEqual(ways.worker(subnet, 1));
  expect(ways.kernel(withOption(10, [1, 2, 3, 4, 5, 6, 7, 8]), 1)).toBeNull();
  ways.close();
});

test.skipIf(missing !== null)("in a signed zone clients that take signatures are the workers'", async () => {
  ensureBuilt();
  const keys = mkdtempSync(join(tmpdir(), "sluice-keys-"));
  const services = [aService("shop"), aService("other", { names: ["shop.example.net"] })];
  const all = services.map(({ name }) => aSnapshot(name, [aBackend(0, "192.0.2.1")]));
  const ways = await bothWays(services, all, { dnssec: { keys, zones: ["example.com"] } });
  for (const name of ["shop.example.com", "no.example.com"]) {
    expect(ways.kernel(ask({ name, edns: 1232, dnssecOk: true }), 1)).toBeNull();
    expect(ways.kernel(ask({ name, edns: 1232 }), 1)).toEqual(ways.worker(ask({ name, edns: 1232 }), 1));
  }
  const unsigned = ask({ name: "shop.example.net", edns: 1232, dnssecOk: true });
  expect(ways.kernel(unsigned, 1)).toEqual(ways.worker(unsigned, 1));
  ways.close();
  rmSync(keys, { recursive: true });
});

test.skipIf(missing !== null)(
  "on a veth, where a frame has no room behind it, answers grow towards its front",
  async () => {
    ensureBuilt();
    const [server, client] = [createTestNetns("dns"), createTestNetns("asks")];
    const ways = await bothWays(services, snapshots, settings);
    wire(server, "eth0", "192.0.2.53/24", client, "eth0", "192.0.2.9/24");
    client.sh(`ethtool -K eth0 tx off >/dev/null; ip link set dev eth0 xdpdrv obj ${objectPath("pass")} sec xdp`);
    const link = server.inside(() => {
      const index = ifindexOf("eth0");
      const [row] = JSON.parse(server.sh("ip -json link show dev eth0")) as { address: string }[];
      ways.program.watch(index, parseMac(row!.address)!, 0);
      return linkXdp(ways.program.fd("dns_fixed"), index, "native");
    });
    expect(link).toBeGreaterThan(0);
    const answers: Buffer[] = [];
    const socket = await client.inside(() =>
      udpSocket({
        connect: { hostname: "192.0.2.53", port: 53 },
        socket: { data: (_s, data) => void answers.push(data) },
      }),
    );
    ways.program.fixed = 99;
    for (const edns of [undefined, 1232]) {
      const query = ask({ name: "weights.example.com", ...(edns ? { edns } : {}) });
      // A first packet may be lost to address resolution.
      for (let i = 0; i < 100 && answers.length === 0; i++) {
        ways.program.beat();
        socket.send(query);
        await new Promise((done) => setTimeout(done, 50));
      }
      expect(Buffer.from(answers.splice(0)[0]!)).toEqual(Buffer.from(ways.worker(query, 99)));
    }
    socket.close();
    closeFd(link);
    ways.close();
    for (const one of [server, client]) one.remove();
  },
);

/** The same question for another type. */
function typed(query: Buffer, type: number): Buffer {
  query[query.length - 3] = type;
  return query;
}
