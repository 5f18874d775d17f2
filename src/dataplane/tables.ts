import { existsSync } from "node:fs";
import { bpfError, createArray, openPinned, pin, updateBatch } from "../system/libbpf.ts";
import { closeFd, mapDescriptor } from "../system/net.ts";
import { Limit, table } from "./generated/layout.ts";

const SIZE = Math.ceil(table.size / 8) * 8;
const PER_CHUNK = 2 * Limit.CHUNK_SERVICES;

/**
 * The services' tables, seen as memory: chunks of 2 * CHUNK_SERVICES that are made when a service needs one, so that an
 * instance pays for what it serves. A chunk stays for as long as the instance.
 */
export class Tables {
  readonly #chunks: ArrayBuffer[] = [];
  readonly #descriptors: number[] = [];
  readonly #outer: number;
  readonly #pin: (chunk: number) => string;

  /** `outer`: descriptor of the map of chunks; `maps`: the folder of pins, in which an earlier daemon's chunks are found. */
  constructor(outer: number, maps: string) {
    this.#outer = outer;
    this.#pin = (chunk) => `${maps}/tables_${chunk}`;
    while (existsSync(this.#pin(this.#chunks.length))) this.#open(openPinned(this.#pin(this.#chunks.length))!);
  }

  #open(fd: number): void {
    this.#chunks.push(mapDescriptor(fd, SIZE * PER_CHUNK));
    this.#descriptors.push(fd);
  }

  /** As `BpfObject.restorePins`. */
  restorePins(): void {
    for (const [chunk, fd] of this.#descriptors.entries()) if (!existsSync(this.#pin(chunk))) pin(fd, this.#pin(chunk));
  }

  /** Makes room for the tables of all services up to this one. Waits some 10 ms when it has to. Throws SluiceError. */
  make(service: number): void {
    const first = this.#chunks.length;
    const made: number[] = [];
    try {
      while ((first + made.length) * Limit.CHUNK_SERVICES <= service)
        made.push(createArray("tables", table.size, PER_CHUNK));
      if (made.length === 0) return;
      const places = bytesOf(made.map((_, i) => first + i));
      if (!updateBatch(this.#outer, places, bytesOf(made), made.length))
        throw bpfError(
          "SLUICE_BPF_MEMORY",
          `the tables of ${made.length * Limit.CHUNK_SERVICES} services found no place`,
        );
    } catch (thrown) {
      for (const fd of made) closeFd(fd);
      throw thrown;
    }
    made.forEach((fd, i) => {
      pin(fd, this.#pin(first + i));
      this.#open(fd);
    });
  }

  /** Table number 2 * service + copy as its u32 words. */
  words(number: number): Uint32Array {
    const chunk = this.#chunks[Math.floor(number / PER_CHUNK)]!;
    return new Uint32Array(chunk, (number % PER_CHUNK) * SIZE, table.size / 4);
  }

  /** Bytes of all chunks. */
  get bytes(): number {
    return this.#chunks.length * SIZE * PER_CHUNK;
  }
}

const bytesOf = (words: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);
