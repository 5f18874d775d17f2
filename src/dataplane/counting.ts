import { type Code, codes } from "../core/codes.ts";
import { lookupElement, lookupElements, possibleCpus, updateElement } from "../system/libbpf.ts";
import { backendCount, Drop, dropCount } from "./generated/layout.ts";

/** Frames and their bytes, Ethernet header included. */
export interface Traffic {
  packetsIn: number;
  bytesIn: number;
  packetsOut: number;
  bytesOut: number;
}

/** Numbers of 64 bits of a backend. */
const COUNTS = backendCount.size / 8;

const fields = ["packetsIn", "bytesIn", "packetsOut", "bytesOut"] as const;
export const noTraffic = (): Traffic => ({ packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0 });
const trafficOf = ([packetsIn, bytesIn, packetsOut, bytesOut]: readonly number[]): Traffic => ({
  packetsIn: packetsIn!,
  bytesIn: bytesIn!,
  packetsOut: packetsOut!,
  bytesOut: bytesOut!,
});

export function addTraffic(to: Traffic, what: Traffic): void {
  for (const field of fields) to[field] += what[field];
}

/** The product's code of each drop reason, by its number. */
export const dropCodes: readonly (Code | null)[] = Array.from({ length: Drop.DROP_REASONS }, (_, number) => {
  const name = Object.entries(Drop).find(([word, value]) => value === number && word !== "DROP_REASONS")?.[0];
  const code = `SLUICE_${name}`;
  return code in codes ? (code as Code) : null;
});

/** Most bytes that one call of the kernel reads. */
const ROOM = 256 * 1024;

/** The program's per-CPU counters, summed. */
export class Counting {
  readonly #backends: number;
  readonly #drops: number;
  readonly #tagged: number;
  readonly #cpus = possibleCpus();
  /** Backends that one call reads. */
  readonly #most = Math.max(1, Math.floor(ROOM / (backendCount.size * this.#cpus)));
  readonly #key = new Uint32Array(1);
  readonly #keyBytes = new Uint8Array(this.#key.buffer);
  /** Room for one value of drops, and for so many of backends; low half first. */
  readonly #halves = new Uint32Array((Math.max(backendCount.size * this.#most, dropCount.size) / 4) * this.#cpus);
  readonly #valueBytes = new Uint8Array(this.#halves.buffer);
  /** What retired backends have counted, by service. */
  readonly #retired = new Map<string, Traffic>();

  /** `mapFd`: the descriptor of a map. */
  constructor(mapFd: (name: "backend_counts" | "drop_counts" | "tagged_passes") => number) {
    this.#backends = mapFd("backend_counts");
    this.#drops = mapFd("drop_counts");
    this.#tagged = mapFd("tagged_passes");
  }

  /** Frames with two VLAN tags, or one of 802.1ad, that passed unread since this daemon began. */
  get tagged(): number {
    return this.#sum(this.#tagged, 0, 1)[0]!;
  }

  /** For status: what passes unserved, whosever it is. */
  describe(): string[] {
    const { tagged } = this;
    return tagged === 0
      ? []
      : [`SLUICE_PASS_TAGS: ${tagged} frames with two VLAN tags or an 802.1ad one passed unread`];
  }

  /** The value of an index: `width` u64 per CPU, summed. */
  #sum(map: number, index: number, width: number): number[] {
    this.#key[0] = index;
    return lookupElement(map, this.#keyBytes, this.#valueBytes)
      ? this.#added(0, width)
      : new Array<number>(width).fill(0);
  }

  /** Of the values that were read, the one at `place`; up to 2^53, which no counter here reaches. Halves, since very many are read at a time. */
  #added(place: number, width: number): number[] {
    const sums = new Array<number>(width).fill(0);
    for (let cpu = place * this.#cpus; cpu < (place + 1) * this.#cpus; cpu++)
      for (let i = 0; i < width; i++) {
        const at = 2 * (cpu * width + i);
        sums[i]! += this.#halves[at]! + this.#halves[at + 1]! * 2 ** 32;
      }
    return sums;
  }

  #zero(map: number, index: number, width: number): void {
    this.#key[0] = index;
    updateElement(map, new Uint8Array(this.#key.buffer), new Uint8Array(width * 8 * this.#cpus));
  }

  backend(number: number): Traffic {
    return trafficOf(this.#sum(this.#backends, number, COUNTS));
  }

  /** Of many backends, in their order: those whose numbers follow each other are read together. */
  backends(numbers: readonly number[]): Traffic[] {
    const found: Traffic[] = [];
    while (found.length < numbers.length) {
      const first = numbers[found.length]!;
      let count = 1;
      while (count < this.#most && numbers[found.length + count] === first + count) count++;
      if (!lookupElements(this.#backends, first, count, this.#valueBytes)) this.#valueBytes.fill(0);
      for (let i = 0; i < count; i++) found.push(trafficOf(this.#added(i, COUNTS)));
    }
    return found;
  }

  /** Drops of a service by code; reasons that never struck are absent. */
  drops(service: number): Partial<Record<Code, number>> {
    const found: Partial<Record<Code, number>> = {};
    this.#sum(this.#drops, service, dropCount.size / 8).forEach((count, reason) => {
      const code = dropCodes[reason];
      if (count > 0 && code) found[code] = count;
    });
    return found;
  }

  /** Before a number is used again. */
  clear(number: number): void {
    this.#zero(this.#backends, number, COUNTS);
  }

  clearDrops(service: number): void {
    this.#zero(this.#drops, service, dropCount.size / 8);
  }

  /** Keeps what a backend has counted for its service's sums. */
  retire(service: string, number: number): void {
    const sum = this.#retired.get(service) ?? noTraffic();
    addTraffic(sum, this.backend(number));
    this.#retired.set(service, sum);
  }

  retired(service: string): Traffic {
    return this.#retired.get(service) ?? noTraffic();
  }
}
