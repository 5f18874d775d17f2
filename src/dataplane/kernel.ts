import { existsSync, rmSync } from "node:fs";
import { sleepSync } from "../runtime/clock.ts";
import { BpfObject } from "../system/libbpf.ts";
import { ifindexOf } from "../system/net.ts";
import { testRun } from "../system/test-run.ts";
import { claimed, Entry } from "./attach.ts";
import { objectPath } from "./build.ts";
import { ControlFlag, control, Limit, service } from "./generated/layout.ts";
import { formerMaps, Heritage } from "./heritage.ts";
import { getWord, mapPlane, type PlaneMemory, setWord } from "./memory.ts";
import { makePins, type Pins, pinsOf, removeOldMaps, removePinned } from "./pins.ts";
import { ticksNow } from "./ticks.ts";
import { traceMaps } from "./trace/maps.ts";

/** Maps of the balance object that outlive the daemon. */
export const pinned = [
  "control_words",
  "arrivals",
  "services",
  "tables",
  "orders",
  "turns",
  "loads",
  "near_services",
  "regions",
  "backends",
  "next_hops",
  "devices",
  "flows",
  "check_ports",
  "busy_slots",
  "live_flows",
  "backend_counts",
  "drop_counts",
  "fragments",
  "wanted",
  ...traceMaps,
] as const;

/** ms that handshakes have to end while cells are held still. */
const HANDSHAKE_MS = 300;

/** The programs and maps of one instance: loaded, or taken over from where an earlier daemon has pinned them. */
export class Kernel {
  readonly pins: Pins;
  readonly entry: Entry;
  readonly memory: PlaneMemory;
  /** Why the maps of a former version, which forwards, could not be taken over; null: they were, or there was none. */
  readonly refused: string | null;
  readonly #object: BpfObject;
  #succeeds: boolean;

  /**
   * Our own maps of an earlier daemon are taken up, and those of another layout taken over with the forwarding. Where that
   * cannot be, nothing is changed yet in what runs. Throws SluiceError (SLUICE_BPF_LOAD).
   */
  constructor(bpfDir: string) {
    this.pins = pinsOf(bpfDir);
    this.entry = new Entry(this.pins);
    makePins(this.pins);
    const former = formerMaps(this.pins, this.entry.programIn("PLACE_BALANCE"));
    this.#succeeds = former !== null;
    const heritage = former === null ? null : new Heritage(this.pins, former, pinned);
    this.refused = heritage?.refused ?? null;
    this.#object = new BpfObject(objectPath("balance"));
    for (const name of pinned) this.#object.setPinPath(name, `${this.pins.maps}/${name}`);
    this.#object.setPinPath("places", this.pins.places);
    // Asked without a daemon, and dear to verify.
    for (const program of ["explain", "rewrite"]) this.#object.skip(program);
    this.#object.load();
    const heir = heritage?.refused === null ? heritage : null;
    heir?.fill((name) => this.#object.mapFd(name));
    this.memory = mapPlane((name) => this.#object.mapFd(name), this.pins.maps);
    setWord(this.memory.control_words, 0, control.flowMask, Limit.FLOW_BUCKETS - 1);
    // The checker of an earlier daemon died with it.
    this.setFlag(ControlFlag.CONTROL_CHECKS, false);
    this.beat();
    heir?.succeed(
      (name) => this.#object.mapFd(name),
      () => this.letHandshakesEnd(),
      (held) => {
        // To flows that began meanwhile the table was full: they go on by their slots, as such flows do.
        if (held) tellFull(this.memory);
        this.takeOver();
      },
    );
    // Of one who was killed while it copied, or copied with the words.
    this.setFlag(ControlFlag.CONTROL_FROZEN, false);
  }

  /**
   * While cells are held still a handshake may be confirmed after its cell was copied; to the copy its connection is then
   * unknown, once it is further than a handshake can be. Copying takes less than this wait: who is slower to answer has
   * not sent 64 KiB by then, with a window of ten segments at first (RFC 6928).
   */
  protected letHandshakesEnd(): void {
    sleepSync(HANDSHAKE_MS);
  }

  /** An earlier daemon's programs forward, by maps that could not be taken over: ours must know all before they replace those. */
  get succeeds(): boolean {
    return this.#succeeds;
  }

  /** Puts our programs in the place of an earlier daemon's, each in one step. */
  takeOver(): void {
    this.entry.plug("PLACE_BALANCE", this.programFd("balance"));
    for (const device of this.entry.devices) {
      // A device that has gone took its link with it; only its pin is left.
      if (ifindexOf(device) === 0) this.entry.detach(device);
      else this.entry.attach(device);
    }
    removeOldMaps(this.pins);
    this.#succeeds = false;
  }

  /**
   * Pins anew what somebody has removed, or a BPF file system that was unmounted has taken along; interfaces have lost their
   * program by then. False: all is there. Throws SluiceError.
   */
  restorePins(): boolean {
    if (!this.entry.restorePins() && existsSync(`${this.pins.maps}/control_words`)) return false;
    this.#object.restorePins();
    this.memory.tables.restorePins();
    this.memory.orders.restorePins();
    return true;
  }

  programFd(name: "balance" | "beat" | "check_entry" | "sweep"): number {
    return this.#object.programFd(name);
  }

  mapFd(name: (typeof pinned)[number] | "error_buckets" | "tagged_passes"): number {
    return this.#object.mapFd(name);
  }

  /** The program trusts cached link addresses only while this is heard. */
  beat(): void {
    testRun(this.programFd("beat"), new Uint8Array(64));
  }

  /** One of `ControlFlag`. */
  setFlag(flag: number, on: boolean): void {
    const flags = getWord(this.memory.control_words, 0, control.flags);
    setWord(this.memory.control_words, 0, control.flags, on ? flags | flag : flags & ~flag);
  }

  /** Removes everything from the kernel. The object is unusable afterwards. */
  destroy(): void {
    for (const device of this.entry.devices) this.entry.detach(device);
    if (claimed(this.pins)) {
      // The name server is still on some of the interfaces.
      this.entry.unplug("PLACE_BALANCE");
      rmSync(this.pins.maps, { recursive: true, force: true });
    } else removePinned(this.pins.root);
    this.entry.close();
    this.#object.close();
  }
}

/** To every service: just now a flow found no room. */
function tellFull({ services }: PlaneMemory): void {
  for (let number = 0; number < Limit.MAX_SERVICES; number++)
    if (getWord(services, number, service.used) !== 0) setWord(services, number, service.lastFull, ticksNow());
}
