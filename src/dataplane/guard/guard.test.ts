import { afterAll, afterEach, beforeAll, describe, expect, spyOn, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isIPv6 } from "../../core/address.ts";
import type { Code } from "../../core/codes.ts";
import { toProblem } from "../../core/problem.ts";
import type { GuardLists } from "../../core/service.ts";
import * as libbpf from "../../system/libbpf.ts";
import { netnsMissing } from "../../system/netns-testing.ts";
import { listFlows } from "../flow-list.ts";
import { PlaneView } from "../plane-view.ts";
import { testBackend, testService } from "../testing/doors.ts";
import { Bench, mac } from "../testing/fixtures.ts";
import { ACK, checksumsHold, frame, icmp, ipv4, RST, SYN, tagged, tcp, udp } from "../testing/frames.ts";
import { xdpMissing } from "../testing/network.ts";
import type { TraceRecord } from "../trace/record.ts";
import { Tracer } from "../trace/tracer.ts";
import { Guard } from "./guard.ts";
import type { Limits } from "./schema.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: the guard: ${missing}`);
const VIP = "125.12.12.77";
const VIP6 = "2001:db8:12::77";
const CLIENT = "202.20.20.20";
const CLIENT6 = "2001:db8:20::20";
const vips = [
  { address: VIP, port: 80, protocol: "tcp" as const },
  { address: VIP, port: 53, protocol: "udp" as const },
  { address: VIP6, port: 80, protocol: "tcp" as const },
];
const backends = [testBackend(1, "125.12.12.20", null), testBackend(2, "125.12.12.21", null)];
const none: GuardLists = { block: [], blockFiles: [], allow: [], allowFiles: [] };

let port = 2000;
/** A TCP segment to the VIP of the sender's family. */
const segment = (source: string, flags: number, more: { port?: number; sequence?: number; target?: number } = {}) => {
  const ports = { sourcePort: more.port ?? port++, targetPort: more.target ?? 80 };
  const packet = tcp({ source, target: isIPv6(source) ? VIP6 : VIP }, ports, flags, more.sequence ?? 7);
  return frame(mac.gateway, mac.director, packet);
};

describe.skipIf(missing !== null)("the guard", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.create("direct", testService("web", vips, backends));
  }, 60_000);
  afterAll(() => bench?.close());

  const set = async (limits?: Limits, lists?: Partial<GuardLists>): Promise<void> => {
    const service = { ...testService("web", vips, backends), ...(limits ? { limits } : {}) };
    const staged = await bench.plane.guard.stage(lists && { ...none, ...lists }, limits !== undefined);
    bench.commit("direct", service);
    bench.plane.applyGuard(staged);
  };
  afterEach(() => set());

  const send = (input: Uint8Array) => bench.run(input, bench.plane.kernel.entry.programFd);
  const told = (...inputs: Uint8Array[]): string[] => inputs.map((input) => send(input).verdict);
  /** How often each reason has struck while `work` was done. */
  const reasons = (work: () => void): Partial<Record<Code, number>> => {
    const before = bench.drops("direct", "web");
    work();
    return Object.fromEntries(
      Object.entries(bench.drops("direct", "web"))
        .map(([code, count]) => [code, count - (before[code as Code] ?? 0)] as const)
        .filter(([, count]) => count > 0),
    );
  };

  test("is not there while nothing asks for it", async () => {
    expect(bench.plane.kernel.entry.taken("PLACE_GUARD")).toBe(false);
    await set({ connections: 5, prove: false });
    expect(bench.plane.kernel.entry.taken("PLACE_GUARD")).toBe(true);
    await set({ prove: false });
    expect(bench.plane.kernel.entry.taken("PLACE_GUARD")).toBe(false);
    await set(undefined, { block: ["10.0.0.0/8"] });
    expect(bench.plane.kernel.entry.taken("PLACE_GUARD")).toBe(true);
    expect(bench.plane.guard.describe()).toEqual(["guard: 1 networks blocked, 0 allowed"]);
  });

  test("keeps blocked networks from VIPs and from nothing else; the longest prefix decides", async () => {
    await set(undefined, {
      block: ["202.0.0.0/8", "202.20.20.21", "2001:db8:20::/48"],
      allow: ["202.20.0.0/16", "2001:db8:20::20"],
    });
    const struck = reasons(() => {
      expect(told(segment("202.1.1.1", SYN), segment(CLIENT, SYN), segment("202.20.20.21", ACK))).toEqual([
        "drop",
        "tx",
        "drop",
      ]);
      expect(told(segment(CLIENT6, SYN), segment("2001:db8:20::21", SYN), segment("2001:db8:21::1", SYN))).toEqual([
        "tx",
        "drop",
        "tx",
      ]);
    });
    expect(struck).toEqual({ SLUICE_DROP_BLOCKED: 3 });
    const ssh = tcp({ source: "202.1.1.1", target: "125.12.12.12" }, { sourcePort: 9, targetPort: 22 }, SYN);
    const other = segment("202.1.1.1", SYN, { target: 81 });
    expect(told(frame(mac.gateway, mac.director, ssh), other)).toEqual(["pass", "pass"]);
    const blocked = { source: "202.1.1.1", target: VIP };
    const datagram = udp(blocked, { sourcePort: 9, targetPort: 53 }, [1]);
    const later = ipv4({ ...blocked, offset: 3 }, 17, [1, 2, 3, 4, 5, 6, 7, 8]);
    const quote = tcp({ source: VIP, target: CLIENT }, { sourcePort: 80, targetPort: 4000 }, ACK).slice(0, 28);
    const error = icmp(blocked, 3, 1, [0, 0, 0, 0], quote);
    for (const packet of [datagram, later, error])
      expect(reasons(() => send(frame(mac.gateway, mac.director, packet)))).toEqual({ SLUICE_DROP_BLOCKED: 1 });
    const untouched = tagged(segment("202.1.1.1", SYN, { target: 81 }), 5);
    expect(send(untouched)).toEqual({ verdict: "pass", output: untouched });
    expect(told(tagged(segment("202.1.1.1", SYN), 5))).toEqual(["drop"]);
  });

  test("takes 100,000 networks from a file, and others in their place when the file has changed", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-lists-"));
    const file = join(folder, "blocked.txt");
    const lines = Array.from({ length: 100_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32`);
    writeFileSync(file, `# of no use to us\n\n${lines.join("\n")}\n2001:db8:66::/48 # v6\n`);
    await set(undefined, { blockFiles: [{ file, state: "1" }] });
    expect(bench.plane.guard.describe()).toEqual(["guard: 100001 networks blocked, 0 allowed"]);
    const last = segment("10.1.134.159", SYN);
    const beyond = segment("10.1.134.160", SYN);
    expect(told(segment("10.0.0.0", SYN), last, beyond, segment("2001:db8:66::1", SYN))).toEqual([
      "drop",
      "drop",
      "tx",
      "drop",
    ]);
    writeFileSync(file, "10.1.134.160\n");
    await set(undefined, { blockFiles: [{ file, state: "2" }] });
    expect(told(last, beyond)).toEqual(["tx", "drop"]);
    // What cannot be read changes nothing.
    writeFileSync(file, "10.0.0.1\n10.0.0.0/33\n");
    const refused = bench.plane.guard.stage({ ...none, blockFiles: [{ file, state: "3" }] }, false);
    expect(refused).rejects.toThrow(/SLUICE_CONFIG_READ: .*line 2: "10\.0\.0\.0\/33" is not a network/);
    await refused.catch(() => {});
    expect(told(last, beyond)).toEqual(["tx", "drop"]);
    rmSync(folder, { recursive: true });
  });

  test("lists for which the kernel has no memory are refused by name, and those in force stay", async () => {
    await set(undefined, { block: ["202.0.0.0/8"] });
    const spy = spyOn(libbpf, "updateBatch").mockReturnValue(false);
    const refused = await bench.plane.guard.stage({ ...none, block: ["203.0.0.0/8"] }, false).catch(toProblem);
    spy.mockRestore();
    expect(refused).toMatchObject({ code: "SLUICE_BPF_MEMORY" });
    expect(told(segment("202.1.1.1", SYN), segment("203.1.1.1", SYN))).toEqual(["drop", "tx"]);
  });

  test("a daemon that takes over without lists takes them away", async () => {
    await set(undefined, { block: ["202.0.0.0/8"] });
    const next = new Guard(bench.plane.kernel.pins, bench.plane.kernel.entry, []);
    next.apply(null, new Map([[0, undefined]]));
    expect(bench.plane.kernel.entry.taken("PLACE_GUARD")).toBe(false);
    expect(told(segment("202.1.1.1", SYN))).toEqual(["tx"]);
  });

  test("gives each source so many packets and connections, a /64 of IPv6 being one, and the others theirs", async () => {
    await set({ packetsPerSource: { rate: 1, burst: 5 }, connectionsPerSource: { rate: 1, burst: 2 }, prove: false });
    const flags = [SYN, SYN, SYN, ACK, ACK, ACK];
    const expected = ["tx", "tx", "drop", "tx", "tx", "drop"];
    for (const source of [CLIENT, "202.20.20.22", CLIENT6]) {
      const struck = reasons(() => expect(told(...flags.map((flag) => segment(source, flag)))).toEqual(expected));
      expect(struck).toEqual({ SLUICE_DROP_SOURCE_CONNECTIONS: 1, SLUICE_DROP_SOURCE_PACKETS: 1 });
    }
    expect(told(segment("2001:db8:20::99", ACK), segment("2001:db8:20:1::20", ACK))).toEqual(["drop", "tx"]);
    await set({ packetsPerSource: { rate: 1, burst: 1 }, prove: false }, { allow: ["202.20.20.30"] });
    expect(told(...[1, 2, 3].map(() => segment("202.20.20.30", ACK)))).toEqual(["tx", "tx", "tx"]);
  });

  test("one service's buckets are not another's, of a source or of all", async () => {
    const other = testService("other", [{ address: VIP, port: 81, protocol: "tcp" }], backends);
    for (const limits of [
      { packetsPerSource: { rate: 0.01, burst: 1 }, prove: false },
      { connectionsPerSource: { rate: 0.01, burst: 1 }, prove: false },
      { connections: { rate: 0.01, burst: 1 }, prove: false },
    ]) {
      const staged = await bench.plane.guard.stage(undefined, true);
      bench.commit("direct", [
        { ...testService("web", vips, backends), limits },
        { ...other, limits },
      ]);
      bench.plane.applyGuard(staged);
      const source = `202.20.21.${port++ & 127}`;
      const to = (target: number): Uint8Array => segment(source, SYN, { target });
      expect(told(to(80), to(80), to(81), to(81))).toEqual(["tx", "drop", "tx", "drop"]);
      await set();
    }
  });

  test("buckets fill again in their time", async () => {
    await set({ packetsPerSource: { rate: 4, burst: 2 }, prove: false });
    const source = "202.20.20.40";
    expect(told(...[1, 2, 3].map(() => segment(source, ACK)))).toEqual(["tx", "tx", "drop"]);
    await Bun.sleep(600);
    // Two at most, however long one has waited.
    expect(told(...[1, 2, 3].map(() => segment(source, ACK)))).toEqual(["tx", "tx", "drop"]);
  });

  test("takes so many new connections of all together; what is established goes on", async () => {
    await set({ connections: { rate: 1, burst: 10 }, prove: false });
    const begun = performance.now();
    let taken = 0;
    const struck = reasons(() => {
      const flood = Array.from({ length: 200 }, (_, i) => segment(`10.9.${i >> 4}.${i}`, SYN));
      taken = told(...flood).filter((verdict) => verdict === "tx").length;
      expect(told(...Array.from({ length: 200 }, () => segment(CLIENT, ACK))).every((v) => v === "tx")).toBe(true);
    });
    expect(taken).toBeGreaterThanOrEqual(10);
    expect(taken).toBeLessThanOrEqual(10 + Math.ceil((performance.now() - begun) / 1000));
    expect(struck).toEqual({ SLUICE_DROP_CONNECTIONS: 200 - taken });
    // Nothing was written down for any of them: there is nothing to fill.
    const view = PlaneView.open(bench.plane.kernel.pins.root)!;
    expect(listFlows(view, { after: 0, limit: 10 }).flows).toEqual([]);
    view.close();
  });

  for (const source of ["202.20.20.50", "2001:db8:20::50"])
    test(`has ${source} prove itself beyond that: a wrong answer, whose reset opens the door for it alone`, async () => {
      await set({ connections: { rate: 0.01, burst: 1 }, prove: true });
      expect(told(segment("10.9.9.9", SYN))).toEqual(["tx"]);
      const syn = segment(source, SYN, { port: 5000, sequence: 0x1234_5678 });
      let answer: Uint8Array = new Uint8Array();
      const challenged = reasons(() => {
        const { verdict, output } = send(syn);
        expect(verdict).toBe("tx");
        answer = output;
      });
      expect(challenged).toEqual({ SLUICE_DROP_UNPROVEN: 1 });
      const six = isIPv6(source);
      const at = six ? 54 : 34;
      const view = new DataView(answer.buffer, answer.byteOffset);
      expect(answer).toHaveLength(at + 20);
      expect(Buffer.from(answer.subarray(0, 12)).toString("hex")).toBe("02000000000102000000000c");
      const [from, to, width] = six ? [22, 38, 16] : [26, 30, 4];
      expect(Buffer.from(answer.subarray(from, from + width))).toEqual(Buffer.from(syn.subarray(to, to + width)));
      expect(Buffer.from(answer.subarray(to, to + width))).toEqual(Buffer.from(syn.subarray(from, from + width)));
      expect([view.getUint16(at), view.getUint16(at + 2), answer[at + 13]]).toEqual([80, 5000, SYN | ACK]);
      expect(checksumsHold(answer.subarray(14))).toBe(true);
      const number = view.getUint32(at + 8);
      expect(number).not.toBe(0x1234_5679);
      // A reset with another number proves nothing and goes its way.
      expect(reasons(() => send(segment(source, RST, { port: 5000, sequence: number ^ 1 })))).toEqual({});
      expect(reasons(() => send(syn))).toEqual({ SLUICE_DROP_UNPROVEN: 1 });
      expect(reasons(() => send(segment(source, RST, { port: 5000, sequence: number })))).toEqual({
        SLUICE_DROP_PROOF: 1,
      });
      expect(reasons(() => expect(told(syn, segment(source, SYN))).toEqual(["tx", "tx"]))).toEqual({});
      const neighbour = six ? "2001:db8:20::51" : "202.20.20.51";
      expect(reasons(() => send(segment(neighbour, SYN)))).toEqual({ SLUICE_DROP_UNPROVEN: 1 });
    });

  test("is watched like the balancer, and a packet that it lets go on is told of once", async () => {
    await set({ connections: { rate: 0.01, burst: 1 }, prove: true }, { block: ["10.0.0.0/8"] });
    const seen: TraceRecord[] = [];
    const tracer = Tracer.open(bench.plane.kernel.pins.root, (record) => void seen.push(record))!;
    expect(tracer.start({ filter: [], rate: 100, bytes: 128 }, () => 0)).toBeNull();
    told(segment("10.1.1.1", SYN), segment(CLIENT, SYN), segment("202.20.20.60", SYN));
    tracer.stop();
    expect(seen.map(({ place, verdict, reason }) => [place, verdict, reason])).toEqual([
      ["guard", "dropped", "SLUICE_DROP_BLOCKED"],
      ["balance", "forwarded", null],
      ["guard", "answered", null],
    ]);
    expect(seen[2]!.left!.length).toBe(54);
  });
});
