import { mapDescriptor } from "../system/net.ts";
import * as layout from "./generated/layout.ts";
import { Orders } from "./orders.ts";
import { Tables } from "./tables.ts";

const { Limit } = layout;

/** A mappable array map seen as memory: element `i` begins at `i * size`. Little-endian, as all machines we build for. */
export interface MappedArray {
  readonly fd: number;
  /** Bytes of one element, rounded up to 8 as the kernel does. */
  readonly size: number;
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly view: DataView;
}

const shapes = {
  control_words: [layout.control.size, 1],
  arrivals: [layout.arrival.size, 2 * Limit.ARRIVALS],
  services: [layout.service.size, Limit.MAX_SERVICES],
  turns: [layout.turns.size, 2 * Limit.MAX_SERVICES],
  loads: [layout.load.size, Limit.MAX_BACKENDS],
  near_services: [layout.placeServices.size, 2 * Limit.MAX_SERVICES],
  backends: [layout.backend.size, Limit.MAX_BACKENDS],
  next_hops: [layout.nextHop.size, Limit.MAX_HOPS],
  devices: [layout.device.size, Limit.MAX_DEVICES],
  check_ports: [8, 65_536],
  busy_slots: [layout.busy.size, Limit.MAX_SERVICES],
  live_flows: [8, Limit.MAX_BACKENDS],
} as const satisfies Record<string, readonly [size: number, count: number]>;

export type MappedName = keyof typeof shapes;
export type PlaneMemory = Record<MappedName, MappedArray> & { tables: Tables; orders: Orders };

/** Maps a mappable array map. Throws SluiceError. */
export function mapArray(fd: number, size: number, count: number): MappedArray {
  const rounded = Math.ceil(size / 8) * 8;
  const buffer = mapDescriptor(fd, rounded * count);
  return {
    fd,
    size: rounded,
    count,
    bytes: new Uint8Array(buffer),
    words: new Uint32Array(buffer),
    view: new DataView(buffer),
  };
}

/** Maps every mappable map of the plane; `fdOf` tells a map's descriptor, `pins` the folder of pinned ones. Throws SluiceError. */
export function mapPlane(fdOf: (name: MappedName | "tables" | "orders") => number, pins: string): PlaneMemory {
  const entries = Object.entries(shapes).map(([name, [size, count]]) => [
    name,
    mapArray(fdOf(name as MappedName), size, count),
  ]);
  return {
    ...(Object.fromEntries(entries) as Record<MappedName, MappedArray>),
    tables: new Tables(fdOf("tables"), pins),
    orders: new Orders(fdOf("orders"), pins),
  };
}

/** A u32 field of an element. */
export const getWord = (array: MappedArray, index: number, offset: number): number =>
  array.words[(index * array.size + offset) >> 2]!;

/** One aligned store: the kernel sees the old or the new value, never half of it. */
export function setWord(array: MappedArray, index: number, offset: number, value: number): void {
  array.words[(index * array.size + offset) >> 2] = value >>> 0;
}

export const elementBytes = (array: MappedArray, index: number): Uint8Array =>
  array.bytes.subarray(index * array.size, (index + 1) * array.size);

/** Port to and from network order, as it stands in a little-endian u16. */
export const swap16 = (port: number): number => ((port & 0xff) << 8) | (port >> 8);
