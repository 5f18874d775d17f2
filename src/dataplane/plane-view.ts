import { existsSync } from "node:fs";
import { join } from "node:path";
import { backendName } from "../core/backend.ts";
import { lookupElement, openPinned } from "../system/libbpf.ts";
import { closeFd } from "../system/net.ts";
import { backend, Limit, State, service, table } from "./generated/layout.ts";
import { readBackendBytes } from "./local-backend.ts";
import { pinsOf } from "./pins.ts";
import { type ForwardName, forwardName } from "./plane-service.ts";
import { unpackSlots } from "./slot-words.ts";

export interface ViewedService {
  number: number;
  name: string;
  method: ForwardName;
  /** Which table of its chunk is read. */
  table: number;
}

const names = ["services", "backends", "flows"] as const;
const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** A reader of what an instance has pinned; changes nothing and needs no daemon. */
export class PlaneView {
  readonly #maps: Record<(typeof names)[number], number>;

  readonly #folder: string;

  private constructor(maps: Record<(typeof names)[number], number>, folder: string) {
    this.#maps = maps;
    this.#folder = folder;
  }

  /** Null when this instance has no director's maps in the kernel. */
  static open(bpfDir: string): PlaneView | null {
    const { maps } = pinsOf(bpfDir);
    if (!existsSync(join(maps, "services"))) return null;
    const opened = names.map((name) => [name, openPinned(join(maps, name)) ?? -1]);
    return new PlaneView(Object.fromEntries(opened) as Record<(typeof names)[number], number>, maps);
  }

  /** One element of a map. */
  element(map: (typeof names)[number], index: number, size: number): DataView {
    const bytes = new Uint8Array(Math.ceil(size / 8) * 8);
    lookupElement(this.#maps[map], word(index), bytes);
    return new DataView(bytes.buffer);
  }

  services(): ViewedService[] {
    const found: ViewedService[] = [];
    for (let number = 0; number < Limit.MAX_SERVICES; number++) {
      const at = this.element("services", number, service.size);
      if (at.getUint32(service.used, true) === 0) continue;
      const name = new Uint8Array(at.buffer).subarray(service.name);
      found.push({
        number,
        name: new TextDecoder().decode(name.subarray(0, name.indexOf(0))),
        method: forwardName(at.getUint32(service.forward, true)),
        table: at.getUint32(service.table, true),
      });
    }
    return found;
  }

  /** `ADDRESS:PORT` of a backend by the plane's number, `ADDRESS` where packets keep their ports; null when it is free. */
  backendName(number: number): string | null {
    const at = this.element("backends", number, backend.size);
    if (at.getUint8(backend.used) === 0) return null;
    const { address, port } = readBackendBytes(at);
    return backendName({ address, port: port || null });
  }

  /** A service's table in force; null when its chunk is not pinned. */
  #table({ number, table: inForce }: ViewedService): DataView | null {
    const chunk = openPinned(join(this.#folder, `tables_${Math.floor(number / Limit.CHUNK_SERVICES)}`));
    if (chunk === null) return null;
    const bytes = new Uint8Array(Math.ceil(table.size / 8) * 8);
    lookupElement(chunk, word(inForce), bytes);
    closeFd(chunk);
    return new DataView(bytes.buffer);
  }

  /** The words of a service's table in force: plane's numbers of its backends by its own, 0 state: none. */
  backendsOf(viewed: ViewedService): Map<number, { number: number; state: number }> {
    const found = new Map<number, { number: number; state: number }>();
    const at = this.#table(viewed);
    for (let local = 0; at && local < Limit.MAX_LOCAL; local++) {
      const value = at.getUint32(table.backends + 4 * local, true);
      const state = value >>> State.STATE_SHIFT;
      if (state !== State.STATE_EMPTY) found.set(local, { number: value & State.STATE_NUMBER_MASK, state });
    }
    return found;
  }

  /** Its slots, likewise: words as in `phases.ts`. */
  slotsOf(viewed: ViewedService): Uint32Array {
    const at = this.#table(viewed);
    const slots = this.element("services", viewed.number, service.size).getUint32(service.slots, true);
    return at ? unpackSlots(at, slots) : new Uint32Array();
  }

  close(): void {
    for (const fd of Object.values(this.#maps)) if (fd >= 0) closeFd(fd);
  }
}
