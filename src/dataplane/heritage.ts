import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Btf } from "../system/btf.ts";
import { BpfObject, createArray, openPinned, pin, possibleCpus, programById, updateElement } from "../system/libbpf.ts";
import { btfOf, type MapInfo, mapInfo, mapsOfProgram, readArray, writeArray } from "../system/map-info.ts";
import { closeFd, kernelBarrier, mapDescriptor, unmapDescriptor } from "../system/net.ts";
import { objectPath } from "./build.ts";
import { ControlFlag, slotOrders, table } from "./generated/layout.ts";
import { type Conversion, conversionOf, convert, otherMeaning } from "./layouts.ts";
import { oldMaps, type Pins } from "./pins.ts";

/** Maps whose elements are looked up by number, and the struct of one. What is not here may begin anew, or be shared. */
const structOf: Readonly<Record<string, string>> = {
  control_words: "control",
  arrivals: "arrival",
  services: "service",
  turns: "turns",
  loads: "load",
  near_services: "place_services",
  backends: "backend",
  next_hops: "next_hop",
  devices: "device",
  flows: "flow_bucket",
  backend_counts: "backend_count",
  drop_counts: "drop_count",
};
/** Maps of maps, and the struct that an element of each of theirs holds. */
const chunksOf: Readonly<Record<string, string>> = { tables: "table", orders: "slot_orders" };
/** Keys of hashes. */
const keyOf: Readonly<Record<string, readonly string[]>> = {
  fragments: ["fragment_key", "fragment"],
  wanted: ["wanted_key"],
  regions: ["region_key"],
};
/** Written all the time while packets flow: copied when nobody gets a cell any more. */
const moving = new Set(["flows", "loads"]);
const chunkSize: Readonly<Record<string, number>> = { tables: table.size, orders: slotOrders.size };
const PERCPU_ARRAY = 6;

interface Known {
  fd: number;
  info: MapInfo;
}

/** The folder of the maps by which packets are forwarded now, when it is not ours; null when it is, or nobody forwards. */
export function formerMaps(pins: Pins, balancer: number | null): string | null {
  if (balancer === null) return null;
  const program = programById(balancer);
  const used = mapsOfProgram(program);
  closeFd(program);
  return (
    oldMaps(pins).find((folder) => {
      const services = existsSync(join(folder, "services")) ? openPinned(join(folder, "services")) : null;
      if (services === null) return false;
      const { id } = mapInfo(services);
      closeFd(services);
      return used.has(id);
    }) ?? null
  );
}

/** What one version takes over from another while that still forwards. */
export class Heritage {
  readonly #pins: Pins;
  readonly #former = new Map<string, Known>();
  readonly #conversions = new Map<string, Conversion>();
  readonly #shared = new Set<string>();
  /** Bytes before the flags in the former control words. */
  #flagsAt = 0;
  /** Why nothing can be taken over; null: all can. */
  refused: string | null;

  /** Empties our own folder of what a daemon that was killed half way has left, and shares what is alike. */
  constructor(pins: Pins, folder: string, names: readonly string[]) {
    this.#pins = pins;
    rmSync(pins.maps, { recursive: true, force: true });
    mkdirSync(pins.maps, { recursive: true });
    for (const name of readdirSync(folder)) {
      const fd = openPinned(join(folder, name));
      if (fd !== null) this.#former.set(name, { fd, info: mapInfo(fd) });
    }
    this.refused = this.#compare(names);
    if (this.refused === null) for (const name of this.#shared) pin(this.#former.get(name)!.fd, join(pins.maps, name));
    else this.close();
  }

  #compare(names: readonly string[]): string | null {
    const services = this.#former.get("services");
    if (!services) return "it has no services";
    const object = new BpfObject(objectPath("balance"));
    for (const program of ["balance", "beat", "check_entry", "sweep", "explain", "rewrite"]) object.skip(program);
    object.load();
    try {
      const [former, own] = [services.info.btf, mapInfo(object.mapFd("services")).btf].map(btfOf) as [Btf, Btf];
      this.#flagsAt = former.struct("control")?.leaves.find(({ path }) => path === "flags")?.offset ?? 0;
      const other = otherMeaning(former, own);
      if (other !== null) return other;
      for (const name of names) {
        const why = this.#judge(name, mapInfo(object.mapFd(name)), former, own);
        if (why !== null) return why;
      }
      const still = [...moving].every((name) => this.#shared.has(name));
      if (!still && !former.numbers("sluice_control_flag").has("CONTROL_FROZEN"))
        return "its flow cells cannot be held still";
      return null;
    } finally {
      object.close();
    }
  }

  /** Decides of one map. Why nothing can be taken over, or null. */
  #judge(name: string, ours: MapInfo, former: Btf, own: Btf): string | null {
    const theirs = this.#former.get(name)?.info;
    const alike = (struct: string): boolean =>
      JSON.stringify(former.struct(struct)) === JSON.stringify(own.struct(struct));
    const structs = [structOf[name], chunksOf[name], ...(keyOf[name] ?? [])].flatMap((one) => one ?? []);
    const same = theirs !== undefined && shapeOf(theirs) === shapeOf(ours) && structs.every(alike);
    if (same && (structs.length > 0 || name in keyOf)) {
      this.#shared.add(name);
      for (const chunk of this.#chunks(name)) this.#shared.add(chunk);
      return null;
    }
    if (name === "regions") return "networks of places are kept otherwise";
    const struct = structOf[name] ?? chunksOf[name];
    if (struct === undefined) return null;
    if (!theirs || theirs.type !== ours.type) return `map ${name} is of another type`;
    if (theirs.entries > ours.entries) return `map ${name} held ${theirs.entries}, more than it does now`;
    const conversion = conversionOf(former, own, struct);
    if ("refused" in conversion) return conversion.refused;
    this.#conversions.set(name, conversion);
    return null;
  }

  /** Names of the pinned inner maps of a map of maps. */
  #chunks(name: string): string[] {
    if (!(name in chunksOf)) return [];
    return [...this.#former.keys()].filter((one) => one.startsWith(`${name}_`) && /_\d+$/.test(one));
  }

  /** Fills our maps, which are loaded by now, with what is not shared; but for flow cells. */
  fill(fdOf: (name: string) => number): void {
    for (const name of this.#conversions.keys()) {
      if (moving.has(name)) continue;
      if (name in chunksOf) this.#copyChunks(name, fdOf(name));
      else this.#copy(name, fdOf(name));
    }
  }

  #copyChunks(name: string, outer: number): void {
    for (const chunk of this.#chunks(name)) {
      const { fd, info } = this.#former.get(chunk)!;
      const number = Number(chunk.slice(name.length + 1));
      const size = chunkSize[name]!;
      const fresh = createArray(name, size, info.entries);
      const values = readArray(fd, info.entries, info.valueSize);
      writeArray(fresh, info.entries, convert(values, info.valueSize, size, this.#conversions.get(name)!));
      updateElement(outer, bytesOf(number), bytesOf(fresh));
      pin(fresh, join(this.#pins.maps, chunk));
      closeFd(fresh);
    }
  }

  #copy(name: string, fd: number): void {
    const { fd: from, info } = this.#former.get(name)!;
    const ours = mapInfo(fd);
    const copies = info.type === PERCPU_ARRAY ? possibleCpus() : 1;
    const [before, after] = [info, ours].map(({ valueSize }) =>
      copies > 1 ? Math.ceil(valueSize / 8) * 8 : valueSize,
    ) as [number, number];
    const values = readArray(from, info.entries, before * copies);
    writeArray(fd, info.entries, convert(values, before, after, this.#conversions.get(name)!));
  }

  /**
   * Holds the former program's flow cells still, which sends new flows where those without a cell go, lets handshakes end
   * (`wait`), copies the cells, and has `replace` put our programs in the place of the former ones; it is told whether
   * cells were held.
   */
  succeed(fdOf: (name: string) => number, wait: () => void, replace: (held: boolean) => void): void {
    const still = [...moving].some((name) => this.#conversions.has(name));
    const { fd } = this.#former.get("control_words")!;
    const words = still ? mapDescriptor(fd, 4096) : null;
    if (words) {
      new Uint32Array(words)[this.#flagsAt / 4]! |= ControlFlag.CONTROL_FROZEN;
      kernelBarrier();
      wait();
      for (const name of moving) if (this.#conversions.has(name)) this.#copy(name, fdOf(name));
    }
    replace(still);
    if (words) unmapDescriptor(words);
    this.close();
  }

  close(): void {
    for (const { fd } of this.#former.values()) closeFd(fd);
    this.#former.clear();
  }
}

const shapeOf = ({ type, keySize, valueSize, entries, flags }: MapInfo): string =>
  [type, keySize, valueSize, entries, flags].join();

const bytesOf = (word: number): Uint8Array => new Uint8Array(Uint32Array.of(word).buffer);
