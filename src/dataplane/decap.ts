import { mkdirSync } from "node:fs";
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
import { Entry } from "./attach.ts";
import { objectPath } from "./build.ts";
import { decapConfig, decapCount, listKey } from "./generated/layout.ts";
import { pinsOf, removePinned } from "./pins.ts";
import { devices } from "./routes.ts";
import { traceMaps } from "./trace/maps.ts";

const maps = ["decap_settings", "decap_counts", "decap_networks", "decap_vips"] as const;
const zero = new Uint8Array(4);
const present = Uint8Array.of(1, 0, 0, 0);

const folderOf = (bpfDir: string): string => join(bpfDir, "decap");

/** Makes the keys of a set in the kernel exactly these, all of `size` bytes. */
function fillSet(map: number, size: number, keys: readonly Uint8Array[]): void {
  const wanted = new Set(keys.map(String));
  for (const key of keys) updateElement(map, key, present);
  for (const key of keysOf(map, size)) if (!wanted.has(String(key))) deleteElement(map, key);
}

/** Key of a network, or of one address, in the trie of senders. */
function networkKey(text: string): Uint8Array {
  const { bytes, length } = parsePrefix(text)!;
  const key = new Uint8Array(listKey.size);
  const above = 128 - bytes.length * 8;
  new DataView(key.buffer).setUint32(listKey.bits, above + length, true);
  if (above > 0) key.set([0xff, 0xff], listKey.address + 10);
  key.set(bytes, listKey.address + above / 8);
  return key;
}

/**
 * Makes this host take off the outer header of tunnels that hold one of `vips`, on `device`. For kernels without ipip.
 * `sources`: networks of senders whose tunnels are taken; absent or empty: everybody's. Pinned: it outlives this process; calling it
 * again replaces program and settings in one step each. Throws SluiceError.
 */
export async function attachDecap(options: {
  device: string;
  bpfDir: string;
  vips: readonly string[];
  sources?: readonly string[];
}): Promise<{ describe(): string }> {
  const entry = new Entry(pinsOf(options.bpfDir));
  mkdirSync(folderOf(options.bpfDir), { recursive: true });
  const object = new BpfObject(objectPath("decap"));
  for (const name of maps) object.setPinPath(name, join(folderOf(options.bpfDir), name));
  const pins = pinsOf(options.bpfDir);
  object.setPinPath("places", pins.places);
  for (const name of traceMaps) object.setPinPath(name, join(pins.maps, name));
  object.load();
  const sources = options.sources ?? [];
  const config = new Uint8Array(decapConfig.size);
  new DataView(config.buffer).setUint32(decapConfig.anySource, sources.length === 0 ? 1 : 0, true);
  fillSet(object.mapFd("decap_vips"), 16, options.vips.map(toBytes16));
  fillSet(object.mapFd("decap_networks"), listKey.size, sources.map(networkKey));
  updateElement(object.mapFd("decap_settings"), zero, config);
  entry.plug("PLACE_DECAP", object.programFd("decap"));
  entry.attach(options.device);
  const mode = (await devices()).get(options.device)?.xdp ?? "gone";
  object.close();
  entry.close();
  return { describe: () => `decapsulation by xdp ${mode} on ${options.device}` };
}

/** Packets that this host has unwrapped, and those it left alone; null when decapsulation is not set up. */
export function decapCounts(bpfDir: string): { packets: number; refused: number } | null {
  const map = openPinned(join(folderOf(bpfDir), "decap_counts"));
  if (map === null) return null;
  const width = decapCount.size / 8;
  const raw = new BigUint64Array(width * possibleCpus());
  lookupElement(map, zero, new Uint8Array(raw.buffer));
  closeFd(map);
  const sum = [0, 0];
  raw.forEach((value, i) => {
    sum[i % width]! += Number(value);
  });
  return { packets: sum[0]!, refused: sum[1]! };
}

/** Undoes `attachDecap`. True when there was something. */
export async function detachDecap(options: { bpfDir: string }): Promise<boolean> {
  return removePinned(options.bpfDir);
}
