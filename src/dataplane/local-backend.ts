import { fromBytes16, toBytes16 } from "../core/address.ts";
import type { BackendState } from "../core/backend.ts";
import { clearHostBits, type Prefix } from "../geo/prefix.ts";
import { backend as at, State } from "./generated/layout.ts";
import { elementBytes, getWord, type PlaneMemory, setWord, swap16 } from "./memory.ts";
import type { Route } from "./routes.ts";

/** A backend as its service's table knows it. */
export interface LocalBackend {
  /** Number in its service: what slots and flow cells hold. */
  local: number;
  /** Number in the plane: index of its entry and its counters. */
  number: number;
  /** Id in the snapshots; null once the configuration has dropped it. */
  id: number | null;
  readonly address: string;
  readonly port: number;
  /** `backendKey` of these two. */
  readonly key: string;
  /** What the configuration gives it, 1 at least. */
  weight: number;
  /** One of the program's states. */
  state: number;
  /** Since when it is down, ms; null when it is not. */
  downSince: number | null;
}

/** What a backend is known by within its service, and what consistent hashing hangs on. */
export const backendKey = ({ address, port }: Pick<LocalBackend, "address" | "port">): string => `${address}:${port}`;

/** How long unknown flows still go to a backend that has just been found down, ms: it may only have been slow. After that they go on to another, which answers with a reset instead of silence. */
const DOWN_GRACE = 5000;

/** The program's state for a snapshot's. */
export function kernelState(state: BackendState, downSince: number | null, now: number): number {
  if (state === "up" || state === "unchecked") return State.STATE_UP;
  if (state === "draining") return State.STATE_DRAINING;
  if (state === "maintenance") return State.STATE_GONE;
  return downSince !== null && now - downSince > DOWN_GRACE ? State.STATE_GONE : State.STATE_DOWN;
}

/** Writes a new entry: nobody reads it until a table names it. */
export function writeBackend(memory: PlaneMemory, one: LocalBackend, service: number, forward: number): void {
  const bytes = elementBytes(memory.backends, one.number);
  bytes.fill(0);
  bytes.set(toBytes16(one.address), at.address);
  setWord(memory.backends, one.number, at.service, service);
  setWord(memory.backends, one.number, at.local, one.local);
  memory.backends.view.setUint16(one.number * at.size + at.port, one.port);
  bytes[at.forward] = forward;
  bytes[at.used] = 1;
}

/** The two words of a living entry that may change: its way, and our own address towards it. */
export function writeRoute(memory: PlaneMemory, number: number, route: Route, hop: number): void {
  if (route.source !== "") {
    const source = toBytes16(route.source);
    const view = new DataView(source.buffer);
    for (let i = 0; i < 4; i++) setWord(memory.backends, number, at.source + 4 * i, view.getUint32(4 * i, true));
  }
  setWord(memory.backends, number, at.nextHop, hop);
}

/** One word, read once for each packet: a living entry may change it. `port` 0: bare IP in IP; `others`: packets name others. */
export function writeGue(memory: PlaneMemory, number: number, port: number, others: boolean): void {
  setWord(memory.backends, number, at.guePort, swap16(port) | (others ? 1 << (8 * (at.others - at.guePort)) : 0));
}

/** `outer_network` as its two halves: the network, and the mask of its host bits, both as they stand in memory. */
export interface OuterNetwork {
  network: number;
  hosts: number;
}

/** `network`: IPv4, as `parsePrefix` reads it; undefined: the outer source is the way's own address. */
export function outerNetworkOf(network?: Prefix): OuterNetwork {
  if (!network) return { network: 0, hosts: 0 };
  const mask = clearHostBits(Uint8Array.of(255, 255, 255, 255), network.length);
  const word = (bytes: Uint8Array): number =>
    new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(0, true);
  return { network: word(network.bytes), hosts: ~word(mask) >>> 0 };
}

/** One word likewise. */
export function writeOuterNetwork({ backends }: PlaneMemory, number: number, { network, hosts }: OuterNetwork): void {
  const { outerNetwork } = at;
  if (getWord(backends, number, outerNetwork) === network && getWord(backends, number, outerNetwork + 4) === hosts)
    return;
  const word = (BigInt(hosts) << 32n) | BigInt(network);
  backends.view.setBigUint64(number * backends.size + outerNetwork, word, true);
}

export const hopOf = (memory: PlaneMemory, number: number): number => getWord(memory.backends, number, at.nextHop);

export function eraseBackend(memory: PlaneMemory, number: number): void {
  elementBytes(memory.backends, number).fill(0);
}

export const isUsed = ({ backends }: PlaneMemory, number: number): boolean =>
  backends.bytes[number * backends.size + at.used] === 1;

/** What an earlier daemon wrote there. */
export function readBackend(memory: PlaneMemory, number: number): Pick<LocalBackend, "address" | "port"> {
  const bytes = elementBytes(memory.backends, number);
  return readBackendBytes(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
}

/** The same of one element's bytes. */
export function readBackendBytes(entry: DataView): Pick<LocalBackend, "address" | "port"> {
  const address = new Uint8Array(entry.buffer, entry.byteOffset + at.address, 16);
  return { address: fromBytes16(address), port: entry.getUint16(at.port) };
}
