import { configProblem, SluiceError } from "../core/problem.ts";
import type { Geography } from "../core/service.ts";
import { placesOf, placeTrie } from "../geo/places.ts";
import type { Prefix } from "../geo/prefix.ts";
import { deleteElement, keysOf, updateElement } from "../system/libbpf.ts";
import { control, Limit, placeServices, regionKey } from "./generated/layout.ts";
import { elementBytes, getWord, type PlaneMemory, setWord } from "./memory.ts";

/** Where clients are, read and counted: what `publish` can put in force without failing. */
interface Known {
  /** Tells one geography from another. */
  text: string;
  places: readonly string[];
  networks: readonly { prefix: Prefix; value: number }[];
}

/** By service number: which places have a service of their own, and its number. */
export type Rows = ReadonlyMap<number, ReadonlyMap<string, number>>;

/** The networks of places in the kernel, and which service each place has. Two copies; one word says which is read. */
export class Regions {
  readonly #memory: PlaneMemory;
  readonly #map: number;
  /** What was read last; nobody may have asked for it to be in force. */
  #read: Known | null = null;
  #taken: Known | null = null;
  /** What the copy in force holds; empty at a start: what an earlier daemon wrote there is not known. */
  #inForce = "";

  constructor(memory: PlaneMemory, map: number) {
    this.#memory = memory;
    this.#map = map;
  }

  /** Reads the database and the networks. Throws when it cannot be read, or holds more than there is room for. */
  read(geography: Geography): void {
    const text = JSON.stringify(geography);
    if (text === this.#read?.text) return;
    const networks = [...(placeTrie(geography)?.entries() ?? [])];
    if (networks.length >= Limit.REGIONS / 2)
      throw new SluiceError(
        configProblem(
          "SLUICE_CONFIG_IMPOSSIBLE",
          ["places"],
          `The data plane holds no more than ${Limit.REGIONS / 2} networks of places: there are ${networks.length}.`,
        ),
      );
    this.#read = { text, places: placesOf(geography).map(({ name }) => name), networks };
  }

  /** From the next `stage` on this is where clients are. Cannot fail for what was read last. */
  take(geography: Geography): void {
    this.read(geography);
    this.#taken = this.#read;
  }

  get #active(): number {
    return getWord(this.#memory.control_words, 0, control.regionCopy) & 1;
  }

  /**
   * Writes whose services the places of what was taken last have. A new geography is filled in beside the one in
   * force; returns the copy to be read from now on. The caller waits for a barrier between this and `forget`.
   */
  stage(rows: Rows): number {
    const known = this.#taken;
    if (!known) return this.#active;
    const same = known.text === this.#inForce;
    const copy = same ? this.#active : 1 - this.#active;
    if (!same) this.#fill(copy, known);
    for (const [service, services] of rows) {
      const bytes = elementBytes(this.#memory.near_services, copy * Limit.MAX_SERVICES + service);
      const words = new Uint32Array(bytes.buffer, bytes.byteOffset + placeServices.service, Limit.MAX_PLACES);
      for (let place = 0; place < Limit.MAX_PLACES; place++)
        words[place] = (services.get(known.places[place] ?? "") ?? -1) + 1;
    }
    this.#inForce = known.text;
    return copy;
  }

  #fill(copy: number, { networks }: Known): void {
    this.forget(copy);
    const value = new Uint8Array(8);
    // ::/0 would hold IPv4 too, whose addresses are mapped: where nothing is said of them they are nowhere.
    updateElement(this.#map, keyOf(copy, { bytes: new Uint8Array(4), length: 0 }), new Uint8Array(8).fill(0xff));
    for (const { prefix, value: place } of networks) {
      new DataView(value.buffer).setUint32(0, place, true);
      updateElement(this.#map, keyOf(copy, prefix), value);
    }
  }

  /** Empties a copy that nobody reads. */
  forget(copy: number): void {
    for (const key of keysOf(this.#map, regionKey.size, Limit.REGIONS))
      if (new DataView(key.buffer).getUint32(regionKey.copy, true) === copy) deleteElement(this.#map, key);
  }

  /** Puts a copy in force; true when it was not so already. */
  flip(copy: number): boolean {
    const changed = copy !== this.#active;
    if (changed) setWord(this.#memory.control_words, 0, control.regionCopy, copy);
    return changed;
  }
}

function keyOf(copy: number, { bytes, length }: Prefix): Uint8Array {
  const key = new Uint8Array(regionKey.size);
  const view = new DataView(key.buffer);
  const six = bytes.length === 16;
  view.setUint32(regionKey.length, Limit.REGION_COPY_BITS + (six ? length : 96 + length), true);
  view.setUint32(regionKey.copy, copy, true);
  if (!six) key.set([0xff, 0xff], regionKey.client + 10);
  key.set(bytes, regionKey.client + (six ? 0 : 12));
  return key;
}
