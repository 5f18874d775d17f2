import { toBytes16 } from "../../../core/address.ts";
import { mix32 } from "../../../core/hash.ts";
import { objectPath } from "../../../dataplane/build.ts";
import { getWord, type MappedArray, mapArray, setWord, swap16 } from "../../../dataplane/memory.ts";
import { BpfObject, possibleCpus } from "../../../system/libbpf.ts";
import { unmapDescriptor } from "../../../system/net.ts";
import { testRun } from "../../../system/test-run.ts";
import { DnsCount, DnsLimit, dnsControl, dnsEndpoint, dnsSlot, dnsStride } from "./layout.ts";
import { nameSlots } from "./names.ts";
import type { Rates } from "./rates.ts";
import type { Places } from "./store.ts";
import type { View } from "./view.ts";

/** Who is answered for, and what of queries matters. */
export interface ProgramSettings {
  endpoints: readonly Endpoint[];
  udpSize: number;
  /** `sluice_dns_flag`. */
  flags: number;
  /** Networks, as `toStrides` lays them out. */
  regions: Uint32Array;
  /** How many answers networks may have; null: as many as they ask for. */
  rates: Rates | null;
}

export interface Endpoint {
  address: string;
  port: number;
}

/** Part of the store's pages kept free for sets that change. */
const SPARE = 0.25;
const SPARE_PAGES = 4;

/** The answering program of one revision, in the kernel with maps of its own: plugging it in is the swap. */
export class Program {
  readonly pages: MappedArray;
  /** Where sets that change may go. */
  readonly places: Places;
  /** Bytes of all its maps. */
  readonly bytes: number;
  readonly #object: BpfObject;
  readonly #control: MappedArray;
  readonly #counters: MappedArray;
  readonly #devices: MappedArray;
  readonly #slots: MappedArray;
  readonly #regions: MappedArray;
  readonly #stride: number;
  readonly #cpus = possibleCpus();
  /** What has been told of each counter. */
  readonly #told: Float64Array;

  /** `pins`: where the table of places is pinned; null in tests of the program alone. Throws SluiceError (SLUICE_BPF_LOAD). */
  constructor(view: View, settings: ProgramSettings, pins: { places: string } | null) {
    const { slots, seed } = nameSlots(view.names, view.nodes, view.owners);
    const used = view.draft.pages.length;
    const pages = used + Math.ceil(used * SPARE) + SPARE_PAGES;
    // A line of the cache each: CPUs do not write into the same one.
    this.#stride = (view.counters + 7) & ~7;
    const object = new BpfObject(objectPath("dns"));
    const sizes = {
      dns_slots: slots.length / (dnsSlot.size / 4),
      dns_pages: pages,
      dns_counters: this.#stride * this.#cpus,
      dns_regions: settings.regions.length / (dnsStride.size / 4),
      dns_buckets: settings.rates === null ? 1 : DnsLimit.DNS_BUCKETS,
    };
    for (const [name, entries] of Object.entries(sizes)) object.setMaxEntries(name, entries);
    if (pins !== null) {
      object.setPinPath("places", pins.places);
      object.skip("dns_fixed");
    }
    object.load();
    this.#object = object;
    const map = (name: string, size: number, count: number) => mapArray(object.mapFd(name), size, count);
    this.#control = map("dns_controls", dnsControl.size, 1);
    this.#counters = map("dns_counters", 8, sizes.dns_counters);
    this.#devices = map("dns_devices", 8, DnsLimit.DNS_DEVICES);
    this.pages = map("dns_pages", DnsLimit.DNS_PAGE, pages);
    this.#slots = map("dns_slots", dnsSlot.size, sizes.dns_slots);
    this.#regions = map("dns_regions", dnsStride.size, sizes.dns_regions);
    this.bytes = this.#maps.reduce((sum, { size, count }) => sum + size * count, sizes.dns_buckets * 8);
    this.#slots.words.set(slots);
    this.#regions.words.set(settings.regions);
    for (const [i, page] of view.draft.pages.entries()) this.pages.bytes.set(page, i * DnsLimit.DNS_PAGE);
    this.places = view.draft.places.within(pages);
    this.#told = new Float64Array(view.counters);
    this.#configure(settings, sizes.dns_slots - 1, seed);
  }

  get #maps(): MappedArray[] {
    return [this.#control, this.#counters, this.#devices, this.pages, this.#slots, this.#regions];
  }

  #configure({ endpoints, udpSize, flags, rates }: ProgramSettings, slotMask: number, seed: number): void {
    const set = (offset: number, value: number): void => setWord(this.#control, 0, offset, value);
    set(dnsControl.slotMask, slotMask);
    set(dnsControl.seed, seed);
    set(dnsControl.flags, flags);
    set(dnsControl.counters, this.#stride);
    set(dnsControl.udpSize, udpSize);
    if (rates !== null) {
      set(dnsControl.slip, rates.slip);
      set(dnsControl.secret, rates.seed);
      set(dnsControl.secret + 4, mix32(rates.seed));
      this.#control.bytes.set(rates.levels, dnsControl.levels);
    }
    this.listen(endpoints);
  }

  /** From now on queries to these addresses are answered, and no others. */
  listen(endpoints: readonly Endpoint[]): void {
    const held = endpoints.slice(0, DnsLimit.DNS_ENDPOINTS);
    const words = new Uint8Array(held.length * dnsEndpoint.size);
    for (const [i, { address, port }] of held.entries()) {
      const at = i * dnsEndpoint.size;
      words.set(toBytes16(address), at);
      new DataView(words.buffer).setUint16(at + dnsEndpoint.port, swap16(port), true);
    }
    const { bytes } = this.#control;
    const before = bytes.subarray(dnsControl.endpoints, dnsControl.endpoints + words.length);
    if (getWord(this.#control, 0, dnsControl.endpointCount) === held.length && Buffer.compare(before, words) === 0)
      return;
    // None while they are written: half an address would be somebody else's.
    setWord(this.#control, 0, dnsControl.endpointCount, 0);
    before.set(words);
    setWord(this.#control, 0, dnsControl.endpointCount, held.length);
  }

  fd(name: "dns" | "dns_fixed" | "dns_beat"): number {
    return this.#object.programFd(name);
  }

  /** The random number that `dns_fixed` draws. */
  set fixed(random: number) {
    setWord(this.#control, 0, dnsControl.fixed, random);
  }

  /** Questions are answered only while this is heard. */
  beat(): void {
    testRun(this.fd("dns_beat"), new Uint8Array(64));
  }

  /** From now on all is passed, until the next beat: what is known here holds no more. */
  hush(): void {
    this.#control.bytes.fill(0, dnsControl.freshUntil, dnsControl.freshUntil + 8);
  }

  /** Frames that come in by this interface for this MAC, in this VLAN (0: untagged), are looked at. */
  watch(ifindex: number, mac: Uint8Array, vlan: number): void {
    if (ifindex >= DnsLimit.DNS_DEVICES) return;
    const bytes = new Uint8Array(8);
    bytes.set(mac);
    new DataView(bytes.buffer).setUint16(6, vlan, true);
    this.#devices.bytes.set(bytes, ifindex * 8);
  }

  /** Calls back with every counter that has risen since it was told last. */
  takeCounts(told: (counter: number, more: number) => void): void {
    const { words } = this.#counters;
    const sumOf = (counter: number): number => {
      let sum = 0;
      for (let cpu = 0; cpu < this.#cpus; cpu++) {
        const at = (cpu * this.#stride + counter) * 2;
        sum += words[at]! + words[at + 1]! * 2 ** 32;
      }
      return sum;
    };
    // Services have counted nothing where nothing was answered for them.
    const idle = sumOf(DnsCount.DNS_COUNT_SERVICE) === this.#told[DnsCount.DNS_COUNT_SERVICE];
    const last = idle ? DnsCount.DNS_COUNTS : this.#told.length;
    for (let counter = 0; counter < last; counter++) {
      const sum = sumOf(counter);
      const more = sum - this.#told[counter]!;
      if (more === 0) continue;
      this.#told[counter] = sum;
      told(counter, more);
    }
  }

  close(): void {
    this.#object.close();
    for (const map of this.#maps) unmapDescriptor(map.words.buffer as ArrayBuffer);
  }
}

/** Counters that belong to no service. */
export const FIRST_COUNTER = DnsCount.DNS_COUNTS;
