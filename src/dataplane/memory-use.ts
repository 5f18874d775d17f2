import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { now } from "../runtime/clock.ts";
import { openPinned } from "../system/libbpf.ts";
import { mapBytes } from "../system/map-bytes.ts";
import { closeFd } from "../system/net.ts";
import { Limit } from "./generated/layout.ts";
import { pinsOf } from "./pins.ts";

/** What the kernel keeps for one instance, read from the maps that it has pinned. */
export interface MemoryUse {
  /** Bytes of all maps. */
  bytes: number;
  maps: number;
  /** Bytes of the two tables of one service; 0 where no service has any. */
  perService: number;
  /** Bytes of what a service names others by, by its number; absent for most. */
  orders: ReadonlyMap<number, number>;
}

/** Null when the instance has no maps in the kernel. Needs no daemon. */
export function memoryUse(bpfDir: string): MemoryUse | null {
  const { maps: folder } = pinsOf(bpfDir);
  if (!existsSync(folder)) return null;
  const use = { bytes: 0, maps: 0, perService: 0, orders: new Map<number, number>() };
  for (const name of readdirSync(folder)) {
    const map = openPinned(join(folder, name));
    if (map === null) continue;
    const bytes = mapBytes(map);
    closeFd(map);
    use.bytes += bytes;
    use.maps++;
    const [, kind, number] = /^(tables|orders)_(\d+)$/.exec(name) ?? [];
    if (kind === "tables") use.perService = bytes / Limit.CHUNK_SERVICES;
    if (kind === "orders") use.orders.set(Number(number), bytes);
  }
  return use;
}

/** ms for which a reading is good: who lists a thousand services asks as often. */
const FRESH = 5000;

/** The same for who asks often. */
export class MemoryReading {
  readonly #bpfDir: string;
  #last: { use: MemoryUse | null; at: number } | null = null;

  constructor(bpfDir: string) {
    this.#bpfDir = bpfDir;
  }

  get use(): MemoryUse | null {
    if (this.#last === null || now() - this.#last.at > FRESH) this.#last = { use: memoryUse(this.#bpfDir), at: now() };
    return this.#last.use;
  }
}
