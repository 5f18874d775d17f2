import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { toBytes16 } from "../core/address.ts";
import { sleep } from "../runtime/clock.ts";
import { BpfObject, updateElement } from "../system/libbpf.ts";
import { createTestNetns, netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { testRun } from "../system/test-run.ts";
import { ensureBuilt, objectPath } from "./build.ts";
import { networkKey } from "./decap.ts";
import { decapConfig } from "./generated/layout.ts";
import { mac } from "./testing/fixtures.ts";
import { ACK, checksumsHold, frame, ipv4, ipv6, namingHeader, tcp, udp } from "./testing/frames.ts";
import { xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";
import { type Client, Programs } from "./testing/programs.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: second chances at a real server: ${missing}`);
const VIP = "125.12.12.77";
const VIP6 = "2001:db8:12::77";
const director = "125.12.12.12";
const director6 = "2001:db8:12::12";
const own = "198.51.100.20";
const others = ["198.51.100.21", "203.0.113.22"];
const others6 = ["2001:db8:98::15", "2001:db8:98::16"];
const [XDP_DROP, XDP_PASS] = [1, 2];
const [TC_OK, TC_SHOT, TC_REDIRECT] = [0, 2, 7];
const hex = (bytes: Uint8Array | number[]): string => Buffer.from(bytes).toString("hex");

/** Has a router marked congestion outside? What does not know marks inside is dropped then. */
const isMarked = (frame: Uint8Array): boolean => {
  const ecn = frame[14]! >> 4 === 4 ? frame[15]! & 3 : (frame[15]! >> 4) & 3;
  return ecn === 3;
};

/** What a director, or one of those that it named, sends to this host. */
interface Sent {
  from?: string;
  target?: string;
  named?: readonly string[];
  next?: number;
  ttl?: number;
  packet: number[];
}

function wrapped({ from = director, target = own, named = others, next = 0, ttl = 64, packet }: Sent): Uint8Array {
  const inner = packet[0]! >> 4 === 4 ? 4 : 41;
  const payload = [...namingHeader(inner, named, next), ...packet];
  const ports = { sourcePort: 50_000, targetPort: 6080 };
  const segment = udp({ source: from, target }, ports, payload, false).slice(from.includes(":") ? 40 : 20);
  const outer = { source: from, target, ttl, id: 0, dontFragment: true };
  return frame(mac.gateway, mac.backend, from.includes(":") ? ipv6(outer, 17, segment) : ipv4(outer, 17, segment));
}

describe.skipIf(missing !== null)("a real server that gives second chances", () => {
  const programs = new Programs();
  let host: TestNetns;
  let object: BpfObject;
  let client: Client;
  /** Source port of a connection that this host has. */
  let known = 0;

  const one = Uint8Array.of(1, 0, 0, 0);
  const configure = (settings: Partial<Record<"anySource" | "secondChance", boolean>>): void => {
    const config = new Uint8Array(decapConfig.size);
    config[decapConfig.anySource] = settings.anySource ? 1 : 0;
    config[decapConfig.secondChance] = settings.secondChance ? 1 : 0;
    updateElement(object.mapFd("decap_settings"), new Uint8Array(4), config);
  };
  const run = (program: "decap" | "second_chance", input: Uint8Array) =>
    host.inside(() => testRun(object.programFd(program), input));
  const segment = (sourcePort: number): number[] =>
    tcp({ source: VIP, target: VIP }, { sourcePort, targetPort: 80 }, ACK);
  const stranger = segment(4);
  const segment6 = tcp({ source: "2001:db8:20::20", target: VIP6 }, { sourcePort: 4, targetPort: 80 }, ACK);
  const unwraps = (sent: Sent): void => {
    const { verdict, output } = run("decap", wrapped(sent));
    expect([verdict, hex(output.subarray(14))]).toEqual([XDP_PASS, hex(sent.packet)]);
  };
  const leaves = (input: Uint8Array): void => {
    const { verdict, output } = run("decap", input);
    expect([verdict, hex(output)]).toEqual([XDP_PASS, hex(input)]);
  };
  const sendsOn = (sent: Sent, then: Sent): void => {
    leaves(wrapped(sent));
    const { verdict, output } = run("second_chance", wrapped(sent));
    expect(verdict).toBe(TC_REDIRECT);
    expect(hex(output)).toBe(hex(wrapped(then)));
    expect(checksumsHold(output.subarray(14))).toBe(true);
  };

  beforeAll(async () => {
    ensureBuilt();
    host = createTestNetns("real");
    host.sh(`ip link set lo up; ip address add ${VIP}/32 dev lo; ip address add ${VIP6}/128 dev lo`);
    object = new BpfObject(objectPath("decap"));
    object.load();
    for (const vip of [VIP, VIP6]) updateElement(object.mapFd("decap_vips"), toBytes16(vip), one);
    for (const source of [director, director6]) updateElement(object.mapFd("decap_networks"), networkKey(source), one);
    configure({ secondChance: true });
    await programs.server(host, "real", VIP, 80);
    client = await programs.client(host);
    expect(await client({ do: "open", address: VIP, port: 80, count: 1 })).toEqual(["open"]);
    const [told] = await client({ do: "ask", size: 1 });
    known = Number(/:(\d+) 1$/.exec(told!)![1]);
  }, patience(60_000));
  afterAll(async () => {
    await programs.stop();
    object?.close();
    host?.remove();
  });

  test("unwraps a segment whose socket is here", () => unwraps({ packet: segment(known) }));
  test("sends a segment without a socket on to the first that it names, one hop older", () =>
    sendsOn({ packet: stranger }, { packet: stranger, target: others[0]!, next: 1, ttl: 63 }));
  test("sends it on to the second when it is the first of those named", () =>
    sendsOn({ packet: stranger, next: 1 }, { packet: stranger, target: others[1]!, next: 2, ttl: 63 }));
  test("unwraps it as the last: the kernel answers", () => unwraps({ packet: stranger, next: 2 }));
  test("unwraps it when nobody else is named", () => unwraps({ packet: stranger, named: [] }));
  test("in IPv6 it goes on likewise", () => {
    const sent = { from: director6, target: "2001:db8:98::14", named: others6, packet: segment6 };
    sendsOn(sent, { ...sent, target: others6[0]!, next: 1, ttl: 63 });
    sendsOn({ ...sent, next: 1 }, { ...sent, target: others6[1]!, next: 2, ttl: 63 });
    unwraps({ ...sent, next: 2 });
  });
  test("a listener is no socket of a flow that it gave no cookie", () => {
    sendsOn({ packet: segment(1234) }, { packet: segment(1234), target: others[0]!, next: 1, ttl: 63 });
  });

  test("sends nothing on whose sender is no director", () => {
    const input = wrapped({ from: "125.12.12.99", packet: stranger });
    leaves(input);
    const { verdict, output } = run("second_chance", input);
    expect([verdict, hex(output)]).toEqual([TC_OK, hex(input)]);
    configure({ secondChance: true, anySource: true });
    unwraps({ from: "125.12.12.99", packet: stranger });
    expect(run("second_chance", input).verdict).toBe(TC_OK);
    configure({ secondChance: true });
  });
  test("sends nothing on that is for no VIP of its own", () => {
    const packet = tcp({ source: VIP, target: "125.12.12.78" }, { sourcePort: 4, targetPort: 80 }, ACK);
    const input = wrapped({ packet });
    leaves(input);
    expect(run("second_chance", input).verdict).toBe(TC_OK);
  });
  test("a packet whose hops are used up, or that names more than is possible, goes no further", () => {
    expect(run("second_chance", wrapped({ packet: stranger, ttl: 1 })).verdict).toBe(TC_SHOT);
    expect(run("second_chance", wrapped({ packet: stranger, next: 2 })).verdict).toBe(TC_SHOT);
    const many = wrapped({ packet: stranger });
    many[49] = 200;
    expect(run("second_chance", many).verdict).toBe(TC_SHOT);
    expect(hex(run("decap", many).output.subarray(14))).toBe(hex(stranger));
  });
  test("unwraps everything where nobody sends on", () => {
    configure({});
    unwraps({ packet: stranger });
    expect(run("second_chance", wrapped({ packet: stranger })).verdict).toBe(TC_OK);
    configure({ secondChance: true });
  });

  test(
    "keeps a flow that its listener gave a cookie",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "sluice-cookie-"));
      const capture = join(folder, "syn-ack");
      host.sh("echo 2 > /proc/sys/net/ipv4/tcp_syncookies");
      // The client's acknowledgement is lost: the server has nothing but the listener.
      host.sh(
        "nft 'add table ip t; add chain ip t o { type filter hook output priority 0; }; add rule ip t o tcp dport 80 tcp flags & (syn|ack) == ack drop'",
      );
      host.sh(
        `timeout 20 tcpdump -i lo -U -w ${capture} 'tcp src port 80 and tcp[13] = 18' >/dev/null 2>&1 & for i in $(seq 100); do [ -s ${capture} ] && break; sleep 0.05; done`,
      );
      await client({ do: "open", address: VIP, port: 80, count: 1 });
      let packet = new Uint8Array();
      for (let i = 0; i < 200 && packet.length < 20 + 20; i++) {
        // A pcap file's header is of 24 bytes, a record's of 16; then Ethernet.
        packet = readFileSync(capture).subarray(24 + 16 + 14);
        await sleep(50);
      }
      host.sh("nft delete table ip t");
      rmSync(folder, { recursive: true });
      const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
      const [cookie, acknowledged, port] = [view.getUint32(24), view.getUint32(28), view.getUint16(22)];
      const answer = tcp({ source: VIP, target: VIP }, { sourcePort: port, targetPort: 80 }, ACK, acknowledged);
      const withCookie = (value: number): number[] => {
        const bytes = [...answer];
        for (let i = 0; i < 4; i++) bytes[28 + i] = (value >>> (24 - 8 * i)) & 255;
        return bytes;
      };
      unwraps({ packet: withCookie((cookie + 1) >>> 0) });
      leaves(wrapped({ packet: withCookie((cookie + 77_777) >>> 0) }));
    },
    patience(60_000),
  );

  test("whatever comes: no abort, and nothing is sent but to whom the packet names", () => {
    const bases = [
      wrapped({ packet: stranger }),
      wrapped({ from: director6, target: "2001:db8:98::14", named: others6, packet: segment6 }),
    ];
    const change = fc.record({ at: fc.nat(130), value: fc.nat(255) });
    fc.assert(
      fc.property(
        fc.nat(1),
        fc.array(change, { maxLength: 4 }),
        fc.integer({ min: 54, max: 200 }),
        (i, all, length) => {
          const input = Uint8Array.from(bases[i]!);
          for (const { at, value } of all) if (at < input.length) input[at] = value;
          const cut = input.subarray(0, length);
          expect([XDP_PASS, isMarked(cut) ? XDP_DROP : XDP_PASS]).toContain(run("decap", cut).verdict);
          const { verdict, output } = run("second_chance", cut);
          if (verdict === TC_OK) expect(hex(output)).toBe(hex(cut));
          if (verdict !== TC_REDIRECT) return;
          const [size, at, names] = input[14]! >> 4 === 4 ? [4, 30, 50] : [16, 38, 70];
          const named = names + size * input[names - 2]!;
          expect(hex(output.subarray(at, at + size))).toBe(hex(input.subarray(named, named + size)));
          expect(output[names - 2]).toBe(input[names - 2]! + 1);
          expect(output.length).toBe(cut.length);
        },
      ),
      { numRuns: 1500 },
    );
  });
});
