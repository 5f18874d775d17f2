import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { toBytes16 } from "../core/address.ts";
import { parsePrefix } from "../geo/prefix.ts";
import {
  BpfObject,
  deleteElement,
  keysOf,
  lookupElement,
  openPinned,
  possibleCpus,
  updateElement,
} from "../system/libbpf.ts";
import { closeFd } from "../system/net.ts";
import { addIngress, removeIngress } from "../system/tc.ts";
import { Entry } from "./attach.ts";
import { objectPath } from "./build.ts";
import { decapConfig, decapCount, Limit, listKey } from "./generated/layout.ts";
import { oldMaps, type Pins, pinnedDevices, pinsOf, removeOldMaps, removePinned } from "./pins.ts";
import { devices } from "./routes.ts";
import { traceMaps } from "./trace/maps.ts";

const maps = ["decap_settings", "decap_counts", "decap_networks", "decap_vips"] as const;
/** Pin of the program that sends packets on. */
const SECOND_CHANCE = "second_chance";
const zero = new Uint8Array(4);
const present = Uint8Array.of(1, 0, 0, 0);

/** Makes the keys of a set in the kernel exactly these, all of `size` bytes. */
function fillSet(map: number, size: number, keys: readonly Uint8Array[]): void {
  const wanted = new Set(keys.map(String));
  for (const key of keys) updateElement(map, key, present);
  for (const key of keysOf(map, size, Limit.DECAP_SOURCES)) if (!wanted.has(String(key))) deleteElement(map, key);
}

/** Key of a network, or of one address, in the trie of senders. */
export function networkKey(text: string): Uint8Array {
  const { bytes, length } = parsePrefix(text)!;
  const key = new Uint8Array(listKey.size);
  const above = 128 - bytes.length * 8;
  new DataView(key.buffer).setUint32(listKey.bits, above + length, true);
  if (above > 0) key.set([0xff, 0xff], listKey.address + 10);
  key.set(bytes, listKey.address + above / 8);
  return key;
}

/** Does this host, or did it by a former version, send on what has no socket here? */
const sendsOn = (pins: Pins): boolean =>
  [pins.maps, ...oldMaps(pins)].some((folder) => existsSync(join(folder, SECOND_CHANCE)));

/**
 * Makes this host take off the outer header of tunnels that hold one of `vips`, on `device`. For kernels without ipip.
 * `sources`: networks of senders whose tunnels are taken; absent or empty: everybody's. Those that are named are
 * directors: what they send for a connection that has no socket here goes on to the others that the packet names. Pinned:
 * it outlives this process; calling it again replaces program and settings in one step each, and moves it where the device
 * is another. Throws SluiceError.
 */
export async function attachDecap(options: {
  device: string;
  bpfDir: string;
  vips: readonly string[];
  sources?: readonly string[];
}): Promise<{ describe(): string }> {
  const pins = pinsOf(options.bpfDir);
  const entry = new Entry(pins);
  const object = new BpfObject(objectPath("decap"));
  object.setPinPath("places", pins.places);
  for (const name of [...maps, ...traceMaps]) object.setPinPath(name, join(pins.maps, name));
  object.load();
  const sources = options.sources ?? [];
  const spreads = sources.length > 0;
  // What traces, and whether packets are sent on, goes on as it is.
  const config = new Uint8Array(decapConfig.size);
  const settings = object.mapFd("decap_settings");
  lookupElement(settings, zero, config);
  const tell = (at: number, yes: boolean): void => {
    new DataView(config.buffer).setUint32(at, yes ? 1 : 0, true);
    updateElement(settings, zero, config);
  };
  fillSet(object.mapFd("decap_vips"), 16, options.vips.map(toBytes16));
  fillSet(object.mapFd("decap_networks"), listKey.size, sources.map(networkKey));
  const sendOn = (): void =>
    addIngress(options.device, object.programFd("second_chance"), join(pins.maps, SECOND_CHANCE));
  // Nobody may send packets through this host before the program above them keeps what is its own. Where it does already,
  // it must not stop for a moment: what has its socket elsewhere would be reset here.
  const already = spreads && sendsOn(pins);
  const here = already && entry.devices.includes(options.device);
  if (here) sendOn();
  tell(decapConfig.secondChance, already);
  tell(decapConfig.anySource, !spreads);
  entry.plug("PLACE_DECAP", object.programFd("decap"));
  entry.attach(options.device);
  if (spreads && !here) sendOn();
  if (spreads) tell(decapConfig.secondChance, true);
  const former = entry.devices.filter((device) => device !== options.device);
  for (const device of spreads ? former : entry.devices) removeIngress(device);
  for (const device of former) entry.detach(device);
  if (!spreads) rmSync(join(pins.maps, SECOND_CHANCE), { force: true });
  removeOldMaps(pins);
  const mode = (await devices()).get(options.device)?.xdp ?? "gone";
  object.close();
  entry.close();
  return { describe: () => `decapsulation by xdp ${mode} on ${options.device}` };
}

/** What the program has counted. */
export interface DecapCounts {
  /** Unwrapped. */
  packets: number;
  /** Left alone: nobody's that we listen to, for no VIP of ours, not whole. */
  refused: number;
  /** Sent on to other real servers. */
  sentOn: number;
  /** That came in fragments, and were left to the kernel: it puts them together, and unwraps them if it has ipip or fou. */
  parted: number;
}

/** Null when decapsulation is not set up. */
export function decapCounts(bpfDir: string): DecapCounts | null {
  const map = openPinned(join(pinsOf(bpfDir).maps, "decap_counts"));
  if (map === null) return null;
  const width = decapCount.size / 8;
  const raw = new BigUint64Array(width * possibleCpus());
  lookupElement(map, zero, new Uint8Array(raw.buffer));
  closeFd(map);
  const sum = (field: number): number =>
    raw.reduce((total, value, i) => (i % width === field / 8 ? total + Number(value) : total), 0);
  const { packets, refused, sentOn, parted } = decapCount;
  return { packets: sum(packets), refused: sum(refused), sentOn: sum(sentOn), parted: sum(parted) };
}

/** Undoes `attachDecap`. True when there was something. */
export async function detachDecap(options: { bpfDir: string }): Promise<boolean> {
  for (const device of pinnedDevices(pinsOf(options.bpfDir))) removeIngress(device);
  return removePinned(options.bpfDir);
}
