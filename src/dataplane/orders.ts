import { existsSync } from "node:fs";
import { createArray, openPinned, pin, updateElement } from "../system/libbpf.ts";
import { mapDescriptor } from "../system/net.ts";
import { Limit, slotOrders } from "./generated/layout.ts";

const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/**
 * The orders of the slots of services whose packets name others, seen as memory: 128 KiB, made when a service first asks,
 * and kept for as long as the instance. A slot is one aligned store, and what it says is never needed to be new: there is
 * one copy, and no swap.
 */
export class Orders {
  readonly #known = new Map<number, BigUint64Array>();
  readonly #descriptors = new Map<number, number>();
  /** Made, and nobody's yet. */
  readonly #spares: number[] = [];
  readonly #outer: number;
  readonly #pin: (service: number) => string;

  /** `outer`: descriptor of the map of maps; `maps`: the folder of pins, in which an earlier daemon's are found. */
  constructor(outer: number, maps: string) {
    this.#outer = outer;
    this.#pin = (service) => `${maps}/orders_${service}`;
  }

  /** Has the kernel lent memory for this service's already? */
  has(service: number): boolean {
    return this.#known.has(service) || existsSync(this.#pin(service));
  }

  /** So many services may ask for theirs for the first time, and are not refused. Throws SluiceError (SLUICE_BPF_MEMORY). */
  reserve(count: number): void {
    while (this.#spares.length < count) this.#spares.push(createArray("orders", slotOrders.size, 1));
  }

  /** The words of a service, one for each slot. The first time waits some 10 ms. Throws SluiceError (SLUICE_BPF_LOAD). */
  words(service: number): BigUint64Array {
    const known = this.#known.get(service);
    if (known) return known;
    const path = this.#pin(service);
    const there = existsSync(path) ? openPinned(path) : null;
    const fd = there ?? this.#spares.pop() ?? createArray("orders", slotOrders.size, 1);
    updateElement(this.#outer, word(service), word(fd));
    if (there === null) pin(fd, path);
    const words = new BigUint64Array(mapDescriptor(fd, slotOrders.size), 0, slotOrders.size / 8);
    this.#known.set(service, words);
    this.#descriptors.set(service, fd);
    return words;
  }

  /** As `BpfObject.restorePins`. */
  restorePins(): void {
    for (const [service, fd] of this.#descriptors) if (!existsSync(this.#pin(service))) pin(fd, this.#pin(service));
  }
}

/** A slot's word: the plane's numbers of at most `ORDER` backends, first one lowest. */
export function toOrder(numbers: readonly number[]): bigint {
  return numbers
    .slice(0, Limit.ORDER)
    .reduce((whole, number, i) => whole | (BigInt(number + 1) << BigInt(i * Limit.ORDER_BITS)), 0n);
}
