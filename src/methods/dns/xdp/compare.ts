import type { Service } from "../../../core/service.ts";
import type { Snapshot } from "../../../core/snapshot.ts";
import { checksumsHold, frame, tagged, udp } from "../../../dataplane/testing/frames.ts";
import { testRun } from "../../../system/libbpf.ts";
import { Client } from "../client.ts";
import type { DnsOptions } from "../options.ts";
import { aServer } from "../testing.ts";
import { signedZones } from "../zones.ts";
import { FIRST_COUNTER, Program } from "./program.ts";
import { type Below, someQuery } from "./queries.ts";
import { orderFor } from "./records.ts";
import { flagsOf, servedApart } from "./settings.ts";
import { compileForAll, drawable, drawOf, layOut } from "./view.ts";

/** What tests of the program share: both ways to an answer, side by side, given the same random number. */

const XDP_PASS = 2;
const XDP_TX = 3;
const SERVER = "192.0.2.53";
const SERVER6 = "2001:db8::53";
const MACS = { client: "02:00:00:00:00:01", server: "02:00:00:00:00:02" };
const bytesOfMac = (text: string): Uint8Array =>
  Uint8Array.from(text.split(":").map((part) => Number.parseInt(part, 16)));
/** Of the test run's context: loopback, which every namespace has. */
const IFINDEX = 1;
const UDP_SIZE = 1232;
/** Between two signs of life: well within the program's patience. */
const BEAT_EVERY_MS = 1000;

/** How a query travels. `ip`: more fields of its header. */
export interface Way {
  ipv6?: boolean;
  tag?: number;
  /** Of the interface. Default: the tag's. */
  vlan?: number;
  sourceMac?: string;
  sourcePort?: number;
  ip?: object;
}

/** The frame of a query. */
export function frameOf(message: Uint8Array, { ipv6 = false, tag, ip = {}, ...more }: Way = {}): Uint8Array {
  const [source, target] = ipv6 ? ["2001:db8::9", SERVER6] : ["192.0.2.9", SERVER];
  const ports = { sourcePort: more.sourcePort ?? 40_000, targetPort: 53 };
  const bare = frame(more.sourceMac ?? MACS.client, MACS.server, udp({ source, target, ...ip }, ports, [...message]));
  return tag === undefined ? bare : tagged(bare, tag);
}

const headerBytes = ({ ipv6 = false, tag }: Way): number => 14 + (tag === undefined ? 0 : 4) + (ipv6 ? 40 : 20) + 8;

/** What is wrong with a frame that answers `asked`, beside its message; null: nothing. */
function faultOfFrame(asked: Uint8Array, answer: Uint8Array, way: Way): string | null {
  const at = headerBytes(way);
  const ip = at - 8 - (way.ipv6 ? 40 : 20);
  const same = (from: number, to: number, length: number): boolean =>
    Buffer.compare(asked.subarray(from, from + length), answer.subarray(to, to + length)) === 0;
  if (!same(0, 6, 6) || !same(6, 0, 6)) return "MACs are not turned round";
  if (!same(12, 12, ip - 12)) return "type or tag has changed";
  const [source, target, size] = way.ipv6 ? [ip + 8, ip + 24, 16] : [ip + 12, ip + 16, 4];
  if (!same(source, target, size) || !same(target, source, size)) return "addresses are not turned round";
  if (!same(at - 8, at - 6, 2) || !same(at - 6, at - 8, 2)) return "ports are not turned round";
  if (((answer[at - 4]! << 8) | answer[at - 3]!) !== answer.length - at + 8) return "the length of UDP is wrong";
  if (answer[at - 2] === 0 && answer[at - 1] === 0) return "no checksum";
  return checksumsHold(answer.subarray(ip)) ? null : "a checksum is wrong";
}

/** The program passes all without a sign of life now and then, and a slow machine needs more than one. */
function signsTo(program: Program) {
  let last = Number.NEGATIVE_INFINITY;
  return {
    given: true,
    give(): void {
      if (!this.given || performance.now() < last + BEAT_EVERY_MS) return;
      program.beat();
      last = performance.now();
    },
  };
}

/** Has the schedulers of the workers' way draw a number; `changed`: all services are told that they have changed. */
function drawing({ doors, live }: ReturnType<typeof aServer>, services: readonly Service<DnsOptions>[]) {
  const drawn = services
    .filter((service) => drawable(service, false))
    .flatMap((service) => {
      const snapshot = doors.balancer(service.name).snapshot;
      const compiled = compileForAll(service, snapshot);
      if (compiled === null) return [];
      const [v4, v6] = [false, true].map((kind) => drawOf(service, compiled, snapshot, kind));
      const { answers } = live.get(service.name)!;
      // A group that everybody gets hangs on no client.
      const given = answers.steering?.answers(new Client(0, null, false), answers.network) ?? answers;
      return { answers: given, v4: v4!, v6: v6! };
    });

  return (random: number, changed: boolean): void => {
    for (const { answers, v4, v6 } of drawn) {
      const order = (kind: boolean): number[] => {
        const { firsts, manner } = kind ? v6 : v4;
        const weights = firsts.map(({ weight }) => weight);
        return firsts.length === 0 ? [] : orderFor(weights, manner, random).map((place) => firsts[place]!.id);
      };
      if (changed) answers.changed();
      answers.refresh();
      answers.order = order;
      // In turn means from the cursor on.
      // An empty set is one for all services: nothing may be written there.
      for (const [set, draw, kind] of [[answers.v4, v4, false] as const, [answers.v6, v6, true] as const])
        if (draw.manner.inTurn && draw.firsts.length > 0)
          (set as unknown as { cursor: number }).cursor = draw.firsts.findIndex(({ id }) => id === order(kind)[0]);
    }
  };
}

/** Both ways over the same services; `close` frees the program. Services need no client, or are passed. */
export async function bothWays(
  services: readonly Service<DnsOptions>[],
  snapshots: readonly Snapshot[],
  more: object = {},
) {
  const server = aServer(services, snapshots, { listen: [SERVER, SERVER6], ...more }, { udpSize: UDP_SIZE });
  const snapshotOf = (name: string): Snapshot => server.doors.balancer(name).snapshot;
  const signed = new Set(signedZones(services, server.settings));
  const view = await layOut(server.site, services, snapshotOf, false, FIRST_COUNTER, signed, async () => {});
  const endpoints = [SERVER, SERVER6].map((address) => ({ address, port: 53 }));
  if (servedApart(server.settings) !== null) throw new Error("nothing would be answered by the program");
  const program = new Program(view, { endpoints, udpSize: UDP_SIZE, flags: flagsOf(server.settings) }, null);
  const signs = signsTo(program);
  program.watch(IFINDEX, bytesOfMac(MACS.server), 0);

  const draw = drawing(server, services);
  /** What the workers answer when their schedulers draw this number. */
  const worker = (message: Uint8Array, random: number): Uint8Array => {
    draw(random, true);
    const given = server.raw(message);
    // What was answered once is prepared from then on.
    draw(random, false);
    const again = server.raw(message);
    if (Buffer.compare(given, again) !== 0)
      throw new Error(`again: ${again.toString("hex")}, not ${given.toString("hex")}`);
    return given;
  };

  /** The message that the program answers with; null when it passes. Throws what is wrong with its frame. */
  const kernel = (message: Uint8Array, random: number, way: Way = {}): Uint8Array | null => {
    signs.give();
    program.fixed = random;
    const asked = frameOf(message, way);
    program.watch(IFINDEX, bytesOfMac(MACS.server), (way.vlan ?? way.tag ?? 0) & 0xfff);
    const { verdict, output } = testRun(program.fd("dns_fixed"), asked, IFINDEX);
    if (verdict === XDP_PASS) {
      if (Buffer.compare(output, asked) !== 0) throw new Error("a frame that passes was changed");
      return null;
    }
    if (verdict !== XDP_TX) throw new Error(`verdict ${verdict}`);
    const fault = faultOfFrame(asked, output, way);
    if (fault !== null) throw new Error(fault);
    return output.subarray(headerBytes(way));
  };

  /** The same with a number of the program's own. */
  const kernelDrawn = (message: Uint8Array): Uint8Array | null => {
    signs.give();
    const { verdict, output } = testRun(program.fd("dns"), frameOf(message), IFINDEX);
    return verdict === XDP_TX ? output.subarray(headerBytes({})) : null;
  };

  return { server, view, program, signs, worker, kernel, kernelDrawn, close: () => program.close() };
}

/** Puts `count` queries to both ways. Outcomes: what the program did, how often; faults: what must not be, with the query. */
export function compareMany(ways: Awaited<ReturnType<typeof bothWays>>, count: number, below: Below) {
  const outcomes = new Map<string, number>();
  const faults: { why: string; hex: string }[] = [];
  for (let i = 0; i < count && faults.length < 10; i++) {
    const { message, way } = someQuery(below);
    const random = below(2 ** 32);
    let outcome = "fault";
    try {
      const given = ways.kernel(message, random, way);
      const wanted = given && ways.worker(message, random);
      if (given === null || wanted === null) outcome = "passed";
      else if (Buffer.compare(given, wanted) !== 0)
        throw new Error(
          `random ${random}: ${Buffer.from(given).toString("hex")}, not ${Buffer.from(wanted).toString("hex")}`,
        );
      else outcome = `rcode ${given[3]! & 15}, ${given[7]}+${given[9]}`;
    } catch (thrown) {
      faults.push({ why: (thrown as Error).message, hex: Buffer.from(message).toString("hex") });
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  return { outcomes, faults };
}
