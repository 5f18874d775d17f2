import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { addressOctets } from "../../core/address.ts";
import { clearHostBits, type Prefix } from "../../geo/prefix.ts";
import { run, runSync } from "../../runtime/child.ts";
import { netnsMissing } from "../../system/netns-testing.ts";
import { control } from "../generated/layout.ts";
import { getWord } from "../memory.ts";
import { PlaneView } from "../plane-view.ts";
import { testBackend, testService } from "../testing/doors.ts";
import { Bench, mac } from "../testing/fixtures.ts";
import { ACK, frame, icmp, SYN, tagged, tcp, udp } from "../testing/frames.ts";
import { xdpMissing } from "../testing/network.ts";
import { patience } from "../testing/patience.ts";
import { Capture } from "./capture.ts";
import { type Filter, type Term, verdictWords } from "./filter.ts";
import type { TraceRecord } from "./record.ts";
import { type Names, toTraced, tracedText } from "./text.ts";
import { Tracer } from "./tracer.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: watching packets: ${missing}`);
const VIP = "125.12.12.77";
const VIP6 = "2001:db8:12::77";
const CLIENT = "202.20.20.20";
const vips = [
  { address: VIP, port: 80, protocol: "tcp" as const },
  { address: VIP, port: 53, protocol: "udp" as const },
  { address: VIP6, port: 80, protocol: "tcp" as const },
];
const service = testService("web", vips, [testBackend(1, "125.12.12.20", null), testBackend(2, "125.12.12.21", null)]);
const inbound = (packet: number[]): Uint8Array => frame(mac.gateway, mac.director, packet);
const toVip = (port: number, flags: number, data: number[] = []): Uint8Array =>
  inbound(tcp({ source: CLIENT, target: VIP }, { sourcePort: port, targetPort: 80 }, flags, 1, data));
const names: Names = { device: () => "eth0", service: () => "web", backend: String, wall: (time) => time };

/** Does a packet fulfil a filter, by the words of its documentation alone? */
const wanted = (filter: Filter, record: TraceRecord): boolean =>
  filter.length === 0 || filter.some((clause) => clause.every((term) => holds(term, record) !== term.negated));

const within = (address: string, { bytes, length }: Prefix): boolean => {
  const own = addressOctets(address);
  return own.length === bytes.length && Buffer.from(clearHostBits(own, length)).equals(Buffer.from(bytes));
};

function holds(term: Term, r: TraceRecord): boolean {
  switch (term.kind) {
    case "protocol":
      return r.protocol === term.protocol;
    case "source":
      return within(r.source, term.prefix);
    case "target":
      return within(r.target, term.prefix);
    case "host":
      return within(r.source, term.prefix) || within(r.target, term.prefix);
    case "source-port":
      return r.sourcePort === term.port;
    case "target-port":
      return r.targetPort === term.port;
    case "port":
      return r.sourcePort === term.port || r.targetPort === term.port;
    case "service":
      return r.service === 0;
    case "verdict":
      return verdictWords[r.verdict] === term.verdict;
    case "reason":
      return r.reason === "SLUICE_DROP_MALFORMED" && term.reason === 5;
    case "error":
      return r.error;
  }
}

describe.skipIf(missing !== null)("watching packets", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.create("direct", service);
  }, patience(60_000));
  afterAll(() => bench?.close());

  /** Sends frames while they are watched; the records, and how many were only counted. */
  const watch = (frames: readonly Uint8Array[], filter: Filter = [], limits = { rate: 10_000, bytes: 256 }) => {
    const records: TraceRecord[] = [];
    const tracer = Tracer.open(bench.plane.kernel.pins.root, (record) => void records.push(record))!;
    expect(tracer.start({ filter, ...limits }, () => 0)).toBeNull();
    for (const one of frames) {
      bench.run(one);
      tracer.poll();
    }
    const { lost } = tracer;
    tracer.stop();
    return { records, lost };
  };

  const malformed = inbound(tcp({ source: CLIENT, target: VIP }, { sourcePort: 9, targetPort: 80 }, SYN).slice(0, 28));
  malformed[16] = 0;
  malformed[17] = 28;
  const sample: Uint8Array[] = [
    toVip(4000, SYN),
    toVip(4001, ACK, [1, 2, 3]),
    inbound(udp({ source: "202.20.20.21", target: VIP }, { sourcePort: 4000, targetPort: 53 }, [1])),
    inbound(tcp({ source: CLIENT, target: "125.12.12.12" }, { sourcePort: 4000, targetPort: 22 }, SYN)),
    inbound(tcp({ source: "2001:db8:20::20", target: VIP6 }, { sourcePort: 4002, targetPort: 80 }, SYN)),
    inbound(
      icmp(
        { source: "202.20.20.1", target: VIP },
        3,
        4,
        [0, 0, 4, 176],
        [...tcp({ source: VIP, target: CLIENT }, { sourcePort: 80, targetPort: 4000 }, ACK).slice(0, 28)],
      ),
    ),
    malformed,
  ];

  test("tells of each what it was, whose it is, and what became of it, with the frame of before and after", () => {
    const { records, lost } = watch(sample);
    expect(lost).toBe(0);
    expect(records.map(({ verdict, reason, service: of }) => [verdict, reason, of])).toEqual([
      ["forwarded", null, 0],
      ["forwarded", null, 0],
      ["forwarded", null, 0],
      ["passed", null, null],
      ["forwarded", null, 0],
      ["forwarded", null, 0],
      ["dropped", "SLUICE_DROP_MALFORMED", 0],
    ]);
    const [first, , , passed, six, error, dropped] = records;
    expect(first).toMatchObject({ source: CLIENT, sourcePort: 4000, target: VIP, targetPort: 80, tcpFlags: SYN });
    expect(first!.place).toBe("balance");
    expect(Buffer.from(first!.came.bytes).equals(Buffer.from(sample[0]!))).toBe(true);
    const expected = bench.run(sample[0]!).output;
    expect(Buffer.from(first!.left!.bytes).equals(Buffer.from(expected))).toBe(true);
    const view = PlaneView.open(bench.plane.kernel.pins.root)!;
    expect(view.backendName(first!.backend!)).toBe(`125.12.12.${expected[5]}`);
    expect(view.services()).toMatchObject([{ number: 0, name: "web", method: "direct" }]);
    view.close();
    expect(passed).toMatchObject({ left: null, backend: null, targetPort: 22 });
    expect(six).toMatchObject({ source: "2001:db8:20::20", target: VIP6 });
    expect(error).toMatchObject({ error: true, source: CLIENT, sourcePort: 4000 });
    expect(dropped).toMatchObject({ left: null, backend: null });
    expect(tracedText(toTraced(records[0]!, names))).toMatch(
      /^1970-\S+Z balance eth0 {2}tcp 202\.20\.20\.20:4000 > 125\.12\.12\.77:80 SYN {2}forwarded, service web, backend \d+, 54 -> 54 bytes$/,
    );
  });

  test(
    "a filter in the kernel takes what its words say, whatever they are",
    () => {
      const all = watch(sample).records;
      const prefix = fc
        .record({
          address: fc.constantFrom(CLIENT, VIP, VIP6, "2001:db8:20::20", "202.20.20.21", "10.1.2.3"),
          cut: fc.integer({ min: 0, max: 40 }),
        })
        .map(({ address, cut }): Prefix => {
          const bytes = addressOctets(address);
          const length = Math.max(0, bytes.length * 8 - cut);
          return { bytes: clearHostBits(bytes, length), length };
        });
      const port = fc.constantFrom(80, 53, 22, 4000, 4001, 9);
      const negated = fc.boolean();
      const term: fc.Arbitrary<Term> = fc.oneof(
        fc.record({ kind: fc.constant("protocol" as const), protocol: fc.constantFrom(6, 17, 1), negated }),
        fc.record({ kind: fc.constantFrom("source" as const, "target" as const, "host" as const), prefix, negated }),
        fc.record({
          kind: fc.constantFrom("source-port" as const, "target-port" as const, "port" as const),
          port,
          negated,
        }),
        fc.record({ kind: fc.constant("service" as const), service: fc.constant("web"), negated }),
        fc.record({ kind: fc.constant("verdict" as const), verdict: fc.constantFrom(0, 1, 2), negated }),
        fc.record({ kind: fc.constant("reason" as const), reason: fc.constantFrom(0, 5), negated }),
        fc.record({ kind: fc.constant("error" as const), negated }),
      );
      const filters = fc.array(fc.array(term, { minLength: 1, maxLength: 4 }), { maxLength: 4 });
      const face = (r: TraceRecord): string => `${r.source} ${r.sourcePort} ${r.targetPort} ${r.error} ${r.verdict}`;
      fc.assert(
        fc.property(filters, (filter) => {
          const { records } = watch(sample, filter);
          expect(records.map(face)).toEqual(all.filter((record) => wanted(filter, record)).map(face));
        }),
        { numRuns: 150 },
      );
    },
    patience(30_000),
  );

  test("bounds what is kept of a frame, and how many are told of in a second; the rest are counted", () => {
    const big = toVip(4000, ACK, new Array(400).fill(7));
    const { records } = watch([big], [], { rate: 10, bytes: 60 });
    expect(records[0]!.came).toEqual({ length: 454, bytes: big.slice(0, 60) });
    expect(records[0]!.left!.length).toBe(454);
    expect(records[0]!.left!.bytes).toHaveLength(60);
    const many = watch(
      Array.from({ length: 40 }, () => toVip(4000, ACK)),
      [],
      { rate: 3, bytes: 60 },
    );
    // A second may begin in between.
    expect(many.records.length).toBeLessThanOrEqual(6);
    expect(many.records.length + many.lost).toBe(40);
  });

  test("a tag is part of the frame as it came", () => {
    const { records } = watch([tagged(toVip(4000, SYN), 5)]);
    expect(records[0]!.came.length).toBe(58);
    expect(records[0]!.left!.length).toBe(54);
  });

  test("one process watches at a time; when it ends or is killed the program stops telling", async () => {
    const tracing = (): number => getWord(bench.plane.memory.control_words, 0, control.tracing);
    const open = (): Tracer => Tracer.open(bench.plane.kernel.pins.root, () => {})!;
    const first = open();
    expect(first.start({ filter: [], rate: 1, bytes: 60 }, () => 0)).toBeNull();
    expect(tracing()).toBe(1);
    const asker = `const { Tracer } = await import(${JSON.stringify(join(import.meta.dirname, "tracer.ts"))});
      const t = Tracer.open(${JSON.stringify(bench.plane.kernel.pins.root)}, () => {});
      console.log(t.start({ filter: [], rate: 1, bytes: 60 }, () => 0));`;
    // As whoever watches does: on a slow machine the other program is long in coming.
    const renewal = setInterval(() => first.renew(), 200);
    const asked = await run([process.execPath, "-e", asker]);
    clearInterval(renewal);
    expect(asked.stdout.trim()).toBe(String(process.pid));
    first.stop();
    expect(tracing()).toBe(0);
    // One that is killed leaves the word set: the first packet behind its time takes it back.
    const killed = open();
    expect(killed.start({ filter: [], rate: 1, bytes: 60 }, () => 0)).toBeNull();
    killed.expire();
    bench.run(toVip(4000, SYN));
    expect(tracing()).toBe(0);
    killed.stop();
    expect(Tracer.open("/sys/fs/bpf/sluice/of-nobody", () => {})).toBeNull();
  });

  test("a full disk ends a capture with its reason, and what is in the file is whole", () => {
    const { records } = watch(sample);
    const folder = mkdtempSync(join(tmpdir(), "sluice-capture-"));
    expect(runSync(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", folder]).code).toBe(0);
    try {
      const path = join(folder, "packets.pcapng");
      const capture = new Capture(path, 256);
      for (let i = 0; i < 100; i++)
        for (const record of records) capture.add(record, toTraced(record, names), 1_700_000_000_000_000_000n);
      capture.close();
      expect(capture.failure).toContain("ENOSPC");
      expect(capture.packets).toBeGreaterThan(10);
      const read = runSync(["tcpdump", "-nn", "-r", path]);
      expect(read.code).toBe(0);
      expect(read.stdout.trim().split("\n").length).toBeGreaterThanOrEqual(capture.packets);
      expect(() => new Capture("/dev/full", 256)).toThrow("ENOSPC");
    } finally {
      runSync(["umount", folder]);
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("a capture file is read by tcpdump: each frame as it came and as it left", () => {
    const { records } = watch(sample);
    const folder = mkdtempSync(join(tmpdir(), "sluice-capture-"));
    const path = join(folder, "packets.pcapng");
    const capture = new Capture(path, 256);
    for (const record of records) capture.add(record, toTraced(record, names), 1_700_000_000_000_000_000n);
    capture.close();
    const read = runSync(["tcpdump", "-nn", "-e", "-tt", "-r", path]);
    rmSync(folder, { recursive: true, force: true });
    const lines = read.stdout.trim().split("\n");
    expect(read.stderr).toContain("link-type EN10MB");
    // Five are forwarded: they stand there twice.
    expect(lines).toHaveLength(7 + 5);
    expect(lines[0]).toMatch(
      /^1700000000\.0+ 02:00:00:00:00:01 > 02:00:00:00:00:0c.*202\.20\.20\.20\.4000 > 125\.12\.12\.77\.80: Flags \[S\]/,
    );
    expect(lines[1]).toMatch(
      /^1700000000\.0+1? 02:00:00:00:00:0c > 02:00:00:00:00:1[45].*202\.20\.20\.20\.4000 > 125\.12\.12\.77\.80/,
    );
  });
});
