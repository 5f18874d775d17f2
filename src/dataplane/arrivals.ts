import { fromBytes16, isIPv6, toBytes16 } from "../core/address.ts";
import type { Listener, Protocol } from "../core/service.ts";
import { Arrival, arrival as at, control, Limit, service } from "./generated/layout.ts";
import { elementBytes, getWord, type PlaneMemory, setWord, swap16 } from "./memory.ts";

/** One key of the arrival table with what hangs on it. */
export type ArrivalEntry =
  | { kind: "vip"; address: string; port: number; protocol: Protocol; service: number }
  | {
      kind: "reverse";
      address: string;
      port: number;
      protocol: Protocol;
      service: number;
      backend: number;
      vip: string;
      vipPort: number;
    }
  | { kind: "address"; address: string; service: number }
  /** `address`: made of the service and the server ID, see `quicKey`. */
  | { kind: "quic"; address: string; port: 0; protocol: "udp"; service: number; local: number }
  /** `port`: the how manieth range of its address this is, from 0 on. */
  | ({ kind: "range"; address: string; port: number; protocol: Protocol; service: number } & Ports)
  | ({
      kind: "reverse-range";
      address: string;
      port: number;
      protocol: Protocol;
      service: number;
      backend: number;
      vip: string;
    } & Ports);

/** A range of ports, both ends in it. */
export interface Ports {
  first: number;
  last: number;
}

const kinds = {
  vip: Arrival.ARRIVAL_VIP,
  reverse: Arrival.ARRIVAL_REVERSE,
  address: Arrival.ARRIVAL_ADDRESS,
  range: Arrival.ARRIVAL_RANGE,
  quic: Arrival.ARRIVAL_QUIC,
  "reverse-range": Arrival.ARRIVAL_REVERSE_RANGE,
};
const protocols = { tcp: 6, udp: 17 };

/** The same as `arrival_hash` in bpf/arrivals.h; a test compares the two through the program itself. */
function arrivalHash(seed: readonly [number, number], address: number, rest: number): number {
  let h = (seed[0] ^ address) | 0;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 15;
  h = (h + (rest ^ seed[1])) | 0;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** One word of the address and port/protocol/kind, both as the program sees them. */
function keyOf(entry: ArrivalEntry): { address: number; rest: number } {
  const bytes = new DataView(toBytes16(entry.address).buffer);
  const [first, second, third, last] = [0, 4, 8, 12].map((at) => bytes.getUint32(at, true)) as [
    number,
    number,
    number,
    number,
  ];
  const far = Math.imul(third, 0x9e3779b1) ^ Math.imul(second, 0x85ebca77) ^ Math.imul(first, 0xc2b2ae3d);
  const address = (isIPv6(entry.address) ? last ^ far : last) >>> 0;
  const kind = kinds[entry.kind];
  if (entry.kind === "address") return { address, rest: kind };
  return { address, rest: ((swap16(entry.port) << 16) | (protocols[entry.protocol] << 8) | kind) >>> 0 };
}

/** Entries that always find room: with more than 7 of 16 places taken, too few seeds keep every way short. */
export const MOST_ARRIVALS = (Limit.ARRIVALS * 7) / 16;

/**
 * Positions of the entries under one seed: open addressing, each within `ARRIVAL_PROBES` steps of its hash. Placed in the
 * order of their hashes, so that nobody is far from home because another came first (Robin Hood hashing, Celis 1986).
 * Null when some entry still lies too far: try another seed. At most 65,536 entries.
 */
export function placeArrivals(entries: readonly ArrivalEntry[], seed: readonly [number, number]): number[] | null {
  const inOrder = Uint32Array.from(entries, (entry, i) => {
    const { address, rest } = keyOf(entry);
    return (arrivalHash(seed, address, rest) & (Limit.ARRIVALS - 1)) * 0x10000 + i;
  }).sort();
  const places = new Array<number>(entries.length);
  let next = 0;
  // Twice: whom the end has no room for stands at the beginning, before all others.
  for (let round = 0; round < 2; round++) {
    next = Math.max(0, next - Limit.ARRIVALS);
    for (const one of inOrder) {
      const home = one >>> 16;
      const place = Math.max(home, next);
      if (place - home >= Limit.ARRIVAL_PROBES) return null;
      places[one & 0xffff] = place & (Limit.ARRIVALS - 1);
      next = place + 1;
    }
  }
  return places;
}

function write(memory: PlaneMemory, index: number, entry: ArrivalEntry): void {
  const bytes = elementBytes(memory.arrivals, index);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  bytes.fill(0);
  bytes.set(toBytes16(entry.address), at.address);
  view.setUint32(at.service, entry.service, true);
  if (entry.kind !== "address") {
    view.setUint16(at.port, entry.port);
    bytes[at.protocol] = protocols[entry.protocol];
  }
  if (entry.kind === "reverse" || entry.kind === "reverse-range") {
    view.setUint32(at.backend, entry.backend, true);
    bytes.set(toBytes16(entry.vip), at.vip);
  }
  if (entry.kind === "vip")
    bytes.set(elementBytes(memory.services, entry.service).subarray(service.seed, service.seed + 8), at.seed);
  if (entry.kind === "quic") view.setUint32(at.local, entry.local, true);
  if (entry.kind === "reverse") view.setUint16(at.vipPort, entry.vipPort);
  if (entry.kind === "range" || entry.kind === "reverse-range")
    view.setUint32(at.ports, ((entry.first << 16) | entry.last) >>> 0, true);
  bytes[at.kind] = kinds[entry.kind];
}

/** `ff71:0:SERVICE::SERVER-ID`: no VIP, for it is a multicast address. */
export function quicKey(service: number, address: string): string {
  const bytes = new Uint8Array(16);
  bytes.set([0xff, 0x71]);
  new DataView(bytes.buffer).setUint32(4, service);
  bytes.set(toBytes16(address).subarray(12), 12);
  return fromBytes16(bytes);
}

const randomWord = (): number => crypto.getRandomValues(new Uint32Array(1))[0]!;

/**
 * Fills the copy that nobody reads and returns its number for `flipArrivals`; the caller has waited for a barrier since
 * the last flip. Each copy has its own secret seed. Null when the entries do not fit.
 */
export function stageArrivals(memory: PlaneMemory, entries: readonly ArrivalEntry[]): number | null {
  const copy = getWord(memory.control_words, 0, control.arrivalsActive) === 0 ? 1 : 0;
  const base = copy * Limit.ARRIVALS;
  for (let attempt = 0; attempt < 16 && entries.length <= MOST_ARRIVALS; attempt++) {
    const seed = [randomWord(), randomWord()] as const;
    const places = placeArrivals(entries, seed);
    if (!places) continue;
    memory.arrivals.bytes.fill(0, base * at.size, (base + Limit.ARRIVALS) * at.size);
    setWord(memory.control_words, 0, control.arrivalsSeed + copy * 8, seed[0]);
    setWord(memory.control_words, 0, control.arrivalsSeed + copy * 8 + 4, seed[1]);
    entries.forEach((entry, i) => {
      write(memory, base + places[i]!, entry);
    });
    return copy;
  }
  return null;
}

export function flipArrivals(memory: PlaneMemory, copy: number): void {
  setWord(memory.control_words, 0, control.arrivalsActive, copy);
}

/** The VIPs of each service as they stand in the copy in force: for the daemon that takes over. */
export function readVips(memory: PlaneMemory): (Listener & { service: number })[] {
  const base = getWord(memory.control_words, 0, control.arrivalsActive) * Limit.ARRIVALS;
  const found = [];
  for (let i = 0; i < Limit.ARRIVALS; i++) {
    const bytes = elementBytes(memory.arrivals, base + i);
    if (bytes[at.kind] !== kinds.vip && bytes[at.kind] !== kinds.range) continue;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const ports = view.getUint32(at.ports, true);
    found.push({
      service: view.getUint32(at.service, true),
      address: fromBytes16(bytes),
      ...(bytes[at.kind] === kinds.range
        ? { port: ports >>> 16, last: ports & 0xffff }
        : { port: view.getUint16(at.port) }),
      protocol: bytes[at.protocol] === protocols.udp ? ("udp" as const) : ("tcp" as const),
    });
  }
  return found;
}
