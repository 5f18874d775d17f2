import { type Code, codes } from "../core/codes.ts";
import { lookupElement, possibleCpus, updateElement } from "../system/libbpf.ts";
import { backendCount, Drop, dropCount } from "./generated/layout.ts";

/** Frames and their bytes, Ethernet header included. */
export interface Traffic {
  packetsIn: number;
  bytesIn: number;
  packetsOut: number;
  bytesOut: number;
}

const fields = ["packetsIn", "bytesIn", "packetsOut", "bytesOut"] as const;
export const noTraffic = (): Traffic => ({ packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0 });
export function addTraffic(to: Traffic, what: Traffic): void {
  for (const field of fields) to[field] += what[field];
}

/** The product's code of each drop reason, by its number. */
export const dropCodes: readonly (Code | null)[] = Array.from({ length: Drop.DROP_REASONS }, (_, number) => {
  const name = Object.entries(Drop).find(([word, value]) => value === number && word !== "DROP_REASONS")?.[0];
  const code = `SLUICE_${name}`;
  return code in codes ? (code as Code) : null;
});

/** The program's per-CPU counters, summed. */
export class Counting {
  readonly #backends: number;
  readonly #drops: number;
  readonly #cpus = possibleCpus();
  readonly #key = new Uint32Array(1);
  readonly #keyBytes = new Uint8Array(this.#key.buffer);
  /** Room for one value of either map, low half first. */
  readonly #halves = new Uint32Array((Math.max(backendCount.size, dropCount.size) / 4) * this.#cpus);
  readonly #valueBytes = new Uint8Array(this.#halves.buffer);
  /** What retired backends have counted, by service. */
  readonly #retired = new Map<string, Traffic>();

  constructor(backends: number, drops: number) {
    this.#backends = backends;
    this.#drops = drops;
  }

  /** `width` u64 per CPU, summed; up to 2^53, which no counter here reaches. Halves, since very many are read at a time. */
  #sum(map: number, index: number, width: number): number[] {
    const sums = new Array<number>(width).fill(0);
    this.#key[0] = index;
    if (!lookupElement(map, this.#keyBytes, this.#valueBytes)) return sums;
    for (let cpu = 0; cpu < this.#cpus; cpu++)
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
    const sums = this.#sum(this.#backends, number, backendCount.size / 8);
    return { packetsIn: sums[0]!, bytesIn: sums[1]!, packetsOut: sums[2]!, bytesOut: sums[3]! };
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
    this.#zero(this.#backends, number, backendCount.size / 8);
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
