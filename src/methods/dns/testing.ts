import packet, { type Packet } from "dns-packet";
import type { Backend } from "../../core/backend.ts";
import { counterNames } from "../../core/counters.ts";
import type { Balancer, ServiceCells, WorkerDoors } from "../../core/method.ts";
import type { Geography, Service } from "../../core/service.ts";
import { eligibleIds, type Snapshot } from "../../core/snapshot.ts";
import { aBackend as backendOf } from "../../core/testing.ts";
import type { Assignment, InheritedSocket } from "../../core/worker-protocol.ts";
import { placesOf, placeTrie } from "../../geo/places.ts";
import { ClientAddress } from "../../geo/prefix.ts";
import { geo as geoSchema, places as placesSchema } from "../../geo/schema.ts";
import { lonelyCrowd } from "../../observe/crowd.ts";
import { nameToWire } from "../../protocols/dns/name.ts";
import { HEADER } from "../../protocols/dns/numbers.ts";
import { plainUdp, type Transport } from "../../protocols/dns/respond.ts";
import { makeSlots } from "../../runtime/datagram-ring.ts";
import { makeListener } from "../../runtime/listen.ts";
import { createBalancer } from "../../schedulers/follow.ts";
import { schedulers } from "../../schedulers/list.ts";
import { Answerer } from "./answerer.ts";
import { Client } from "./client.ts";
import { Datagrams } from "./datagrams.ts";
import { Keeper } from "./dnssec/keeper.ts";
import { SigningRoom } from "./dnssec/zone-signing.ts";
import { Guard } from "./guard.ts";
import { createLive } from "./live-service.ts";
import { type DnsOptions, options, settings } from "./options.ts";
import { PreparedAnswers } from "./prepared/prepared-answers.ts";
import { Site } from "./site.ts";
import { TALLY_NAME, tallies, tallyOf } from "./tally.ts";

/** What the tests of this room share: services, snapshots, doors without a worker, and queries. */

export const aService = (
  name: string,
  more: Partial<Service<DnsOptions>> & { dns?: object } = {},
): Service<DnsOptions> => {
  const { dns, ...rest } = more;
  return {
    name,
    method: "dns",
    listen: [],
    names: [`${name}.example.com`],
    scheduler: { name: "weighted-round-robin", options: {} },
    backends: [],
    check: null,
    nearest: false,
    options: options.parse(dns ?? {}),
    ...rest,
  };
};

/** Places and a database as a file has them. */
export const someGeography = ({ places = {}, geo }: { places?: unknown; geo?: unknown } = {}): Geography => ({
  places: placesSchema.parse(places),
  ...(geo === undefined ? {} : { geo: geoSchema.parse(geo) }),
});

export const someSettings = (more: object = {}) => settings.parse({ listen: ["127.0.0.1:53"], ...more });

/** One without a port. */
export const aBackend = (id: number, address: string, more: Partial<Backend> = {}): Backend =>
  backendOf(id, address, null, more);

export const aSnapshot = (service: string, backends: Backend[], generation = 1): Snapshot => ({
  service,
  revision: 1,
  generation,
  backends,
  eligible: eligibleIds(backends),
});

/** What a worker that serves names on a port of loopback, by UDP and TCP, is told; `more`: what differs. */
export function assignmentOn(
  port: number,
  services: readonly Service<DnsOptions>[],
  snapshots: readonly Snapshot[],
  more: Partial<Assignment> = {},
): Assignment {
  const address = "127.0.0.1";
  const sockets = (["udp", "tcp"] as const).map((protocol): InheritedSocket => {
    const made = makeListener({ address, port, protocol });
    if (!made.ok) throw new Error(made.problems[0]!.message);
    return { address, port, protocol, fd: made.value };
  });
  return {
    revision: 1,
    epoch: 0,
    first: true,
    replaces: false,
    seed: 7,
    bundle: null,
    services,
    settings: { dns: someSettings() },
    snapshots,
    sockets,
    cells: [],
    connectionLimit: 100,
    geography: { places: {} },
    log: { level: "info", format: "text" },
    ...more,
  } as Partial<Assignment> as Assignment;
}

/** Counts by `service/backend/counter`. */
export interface FakeDoors extends WorkerDoors {
  counts: Map<string, number>;
  balancers: Map<string, Balancer>;
}

/** The doors of a worker over fixed snapshots; randomness is a fixed sequence. */
export function fakeDoors(services: readonly Service<DnsOptions>[], snapshots: readonly Snapshot[]): FakeDoors {
  let state = 1;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const env = { random, now: () => 0, load: () => 0, seed: 7 };
  const balancers = new Map<string, Balancer>();
  for (const [i, service] of services.entries()) {
    const definition = schedulers.find((s) => s.name === service.scheduler.name)!;
    balancers.set(
      service.name,
      createBalancer(definition, definition.options.parse(service.scheduler.options), env, snapshots[i]!),
    );
  }
  const counts = new Map<string, number>();
  const cells = (service: string): ServiceCells => ({
    add(backend, counter, amount) {
      const key = `${service}/${backend}/${counterNames[counter]}`;
      counts.set(key, (counts.get(key) ?? 0) + amount);
    },
    activeEverywhere: () => 0,
    queuedEverywhere: () => 0,
  });
  return {
    counts,
    balancers,
    balancer: (service) => balancers.get(service)!,
    cells,
    crowd: lonelyCrowd(),
    observed() {},
    wanted() {},
    log() {},
    now: () => performance.now(),
  };
}

export interface Ask {
  name: string;
  /** A word, or a number for a type without one. */
  type?: string | number;
  /** EDNS size; absent: no OPT. */
  edns?: number;
  dnssecOk?: boolean;
  flags?: number;
  id?: number;
}

/** Types that dns-packet has no word for. */
const numbers: Readonly<Record<string, number>> = { HTTPS: 65, SVCB: 64, CDS: 59, CDNSKEY: 60, NXNAME: 128 };

type Additionals = NonNullable<Packet["additionals"]>;

/** OPT as dns-packet writes it (RFC 6891 6.1.2). */
export const optRecord = (udpPayloadSize: number, more: object = {}): Additionals => [
  {
    type: "OPT",
    name: ".",
    udpPayloadSize,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
    ...more,
  },
];

/** A query in wire form, made by dns-packet. */
export function ask({
  name,
  type = "A",
  edns,
  dnssecOk = false,
  flags = packet.RECURSION_DESIRED,
  id = 4711,
}: Ask): Buffer {
  const word = typeof type === "number" || numbers[type] ? "A" : type;
  const made = packet.encode({
    type: "query",
    id,
    flags,
    questions: [{ name, type: word }],
    additionals: edns === undefined ? [] : optRecord(edns, { flags: dnssecOk ? 0x8000 : 0, flag_do: dnssecOk }),
  });
  const number = typeof type === "number" ? type : numbers[type];
  if (number !== undefined) made.writeUInt16BE(number, HEADER + nameToWire(name)!.length);
  return made;
}

/** The addresses of an answer, in order. */
export const addressesOf = (message: Buffer | Uint8Array): string[] =>
  packet.decode(Buffer.from(message)).answers!.map((a) => (a as { data: string }).data);

/**
 * A whole server without sockets: `tell` takes wire bytes (or a question) and gives the decoded answer, null for silence.
 * `now`: monotonic ms, for rates; `clock`: seconds since 1970, for keys.
 */
export function aServer(
  services: readonly Service<DnsOptions>[],
  snapshots: readonly Snapshot[],
  { places = {}, geo, ...more }: Record<string, unknown> = {},
  transport: Partial<Transport> = {},
  { clock, now }: { clock?: () => number; now?: () => number } = {},
) {
  const given = someSettings(more);
  const geography = someGeography({ places, geo });
  const doors = fakeDoors(services, snapshots);
  if (now !== undefined) doors.now = now;
  const live = createLive(services, 7, doors, placesOf(geography));
  const site = new Site([...live.values()], given, 1);
  const keeper = new Keeper(clock);
  const room = given.dnssec ? new SigningRoom(given.dnssec, doors.now, 7, clock) : null;
  /** Lets the keys come to the present, as the daemon does every few seconds. */
  const keep = (): void => {
    const kept = keeper.keep(services, given, () => {});
    if (!kept.ok) throw new Error(kept.problems[0]!.message);
    if (kept.value !== null) site.sign(kept.value, room!);
  };
  keep();
  const tally = tallyOf(doors.cells(TALLY_NAME));
  const guard = new Guard(given, 7, doors.now);
  const way: Transport = { ...plainUdp, ...transport };
  const answerer = new Answerer(site, new Client(7, placeTrie(geography), given.clientSubnet), tally, guard, given);
  const prepared = new PreparedAnswers(site, given.clientSubnet, tally, () => {});
  const datagrams = new Datagrams(answerer, guard, prepared, way);
  const slot = makeSlots(1, 65535)[0]!;
  const out = Buffer.alloc(65535);
  const raw = (bytes: Uint8Array, client = "192.0.2.9"): Buffer => {
    const from = new ClientAddress().read(client);
    if (way.tcp) return out.subarray(0, answerer.answer(bytes, bytes.length, from, way, out));
    slot.octets.set(bytes);
    const size = datagrams.answer(slot, bytes.length, from);
    datagrams.tell();
    return Buffer.from(slot.octets.subarray(0, size));
  };
  const tell = (question: Ask | Uint8Array, client?: string) => {
    const answer = raw(question instanceof Uint8Array ? question : ask(question), client);
    return answer.length === 0 ? null : packet.decode(Buffer.from(answer));
  };
  const change = (next: Snapshot): void => {
    doors.balancer(next.service).update(next);
    live.get(next.service)!.changed();
  };
  /** How often a code was counted. */
  const counted = (code: (typeof tallies)[number]): number =>
    doors.counts.get(`${TALLY_NAME}/${tallies.indexOf(code)}/requests`) ?? 0;
  return { doors, live, site, geography, settings: given, raw, tell, change, answerer, datagrams, counted, keep, room };
}

/** A query whose OPT holds these options. */
export function withOptions(options: readonly (readonly [code: number, data: number[]])[], more: object = {}): Buffer {
  const data = options.flatMap(([code, octets]) => [0, code, 0, octets.length, ...octets]);
  const bytes = Buffer.concat([ask({ name: "shop.example.com", edns: 1232, ...more }), Buffer.from(data)]);
  bytes.writeUInt16BE(data.length, bytes.length - 2 - data.length);
  return bytes;
}
export const withOption = (code: number, data: number[], more?: object): Buffer => withOptions([[code, data]], more);
