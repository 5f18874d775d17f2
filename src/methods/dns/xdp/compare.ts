import type { Service } from "../../../core/service.ts";
import type { Snapshot } from "../../../core/snapshot.ts";
import { checksumsHold, frame, tagged, udp } from "../../../dataplane/testing/frames.ts";
import { placesOf } from "../../../geo/places.ts";
import type { Query } from "../../../protocols/dns/query.ts";
import { testRun } from "../../../system/test-run.ts";
import type { Client } from "../client.ts";
import { compile } from "../compile.ts";
import type { LiveService } from "../live-service.ts";
import type { DnsOptions } from "../options.ts";
import type { ServiceAnswers } from "../service-answers.ts";
import type { Kind, Leaf } from "../steering/plan.ts";
import { aServer } from "../testing.ts";
import { signedZones } from "../zones.ts";
import { FIRST_COUNTER, Program } from "./program.ts";
import { type Below, someQuery } from "./queries.ts";
import { orderFor } from "./records.ts";
import { programSettings, servedApart } from "./settings.ts";
import { shareFor, sharesOf } from "./trees.ts";
import { drawable, drawOf, layOut } from "./view.ts";

/** What tests of the program share: both ways to an answer, side by side, given the same random number. */

const XDP_DROP = 1;
const XDP_PASS = 2;
const XDP_TX = 3;
const SERVER = "192.0.2.53";
const SERVER6 = "2001:db8::53";
const CLIENT = "192.0.2.9";
const CLIENT6 = "2001:db8::9";
/** Of the buckets of rates. */
const SEED = 7;
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
  const [source, target] = ipv6 ? [CLIENT6, SERVER6] : [CLIENT, SERVER];
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

/** Both ways over the same services; `close` frees the program. Services need no client, or are passed. */
export async function bothWays(
  services: readonly Service<DnsOptions>[],
  snapshots: readonly Snapshot[],
  more: object = {},
) {
  const server = aServer(services, snapshots, { listen: [SERVER, SERVER6], ...more }, { udpSize: UDP_SIZE });
  const snapshotOf = (name: string): Snapshot => server.doors.balancer(name).snapshot;
  const signed = new Set(signedZones(services, server.settings));
  const places = placesOf(server.geography);
  const view = await layOut(server.site, services, snapshotOf, places, FIRST_COUNTER, signed, async () => {});
  const endpoints = [SERVER, SERVER6].map((address) => ({ address, port: 53 }));
  if (servedApart(server.settings) !== null) throw new Error("nothing would be answered by the program");
  const given = programSettings(server.settings, server.geography, SEED, services);
  const program = new Program(view, { ...given, endpoints }, null);
  const signs = signsTo(program);
  program.watch(IFINDEX, bytesOfMac(MACS.server), 0);

  const draw: Drawing = { random: 0, drawn: [] };
  for (const service of services.filter(drawable))
    drawAlike(server.live.get(service.name)!, service, snapshotOf(service.name), places.length, draw);

  /** What the workers answer when they draw this number; the bytes are the server's own. */
  const worker = (message: Uint8Array, random: number, { ipv6 = false }: Way = {}): Uint8Array => {
    const client = ipv6 ? CLIENT6 : CLIENT;
    draw.random = random;
    for (const answers of draw.drawn) answers.changed();
    const given = server.raw(message, client);
    // What was answered once is prepared from then on.
    const again = server.raw(message, client);
    if (server.settings.rateLimit === undefined && Buffer.compare(given, again) !== 0)
      throw new Error(`again: ${again.toString("hex")}, not ${given.toString("hex")}`);
    return given;
  };

  /** The message that the program answers with; empty for silence, null when it passes. Throws what is wrong with its frame. */
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
    if (verdict === XDP_DROP) return new Uint8Array(0);
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

/** How the workers are made to draw. */
interface Drawing {
  /** What all schedulers and policies draw. */
  random: number;
  /** Who must be told that something has changed when it is another number: orders are drawn ahead. */
  drawn: ServiceAnswers[];
}

/** Has a service's answers drawn as the program draws them. */
function drawAlike(
  live: LiveService,
  service: Service<DnsOptions>,
  snapshot: Snapshot,
  places: number,
  draw: Drawing,
): void {
  const plan = live.plan();
  const { answers } = live;
  if (answers.steering === null) {
    orderAlike(answers, service, plan as Leaf, snapshot, draw);
    return;
  }
  // What is private there is the workers' own; here it is drawn otherwise.
  const steering = answers.steering as unknown as {
    answers(client: Client, network: unknown, kind: Kind | null): ServiceAnswers;
    answersOf(leaf: Leaf): ServiceAnswers;
  };
  const known = new Map<string, ServiceAnswers>();
  steering.answers = (client, _network, kind) => {
    const { query } = client as unknown as { query: Query };
    const { scope } = query;
    const place = places > 0 ? client.place() : -1;
    const { leaf, placed } = shareFor(sharesOf(plan, kind ?? "v4", place, places), draw.random);
    if (!placed) query.scope = scope;
    if (!known.has(leaf.path)) {
      const group = steering.answersOf(leaf);
      orderAlike(group, service, leaf, snapshot, draw);
      known.set(leaf.path, group);
    }
    return known.get(leaf.path)!;
  };
}

/** The same for one group of its backends. */
function orderAlike(
  answers: ServiceAnswers,
  service: Service<DnsOptions>,
  leaf: Leaf,
  snapshot: Snapshot,
  draw: Drawing,
): void {
  const compiled = compile(service, leaf.snapshot);
  if (compiled.rule === "fallback") return;
  const draws = [false, true].map((v6) => drawOf(service, compiled, snapshot, v6));
  const order = (v6: boolean): number[] => {
    const { firsts, manner } = draws[Number(v6)]!;
    const weights = firsts.map(({ weight }) => weight);
    return firsts.length === 0 ? [] : orderFor(weights, manner, draw.random).map((place) => firsts[place]!.id);
  };
  answers.order = order;
  const refresh = answers.refresh.bind(answers);
  answers.refresh = () => {
    refresh();
    // In turn means from the cursor on. An empty set is one for all services: nothing may be written there.
    for (const [i, set] of [answers.v4, answers.v6].entries()) {
      const { manner, firsts } = draws[i]!;
      if (manner.inTurn && firsts.length > 0)
        Object.assign(set, { cursor: firsts.findIndex(({ id }) => id === order(i === 1)[0]) });
    }
  };
  answers.changed();
  draw.drawn.push(answers);
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
      const wanted = given && ways.worker(message, random, way);
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
