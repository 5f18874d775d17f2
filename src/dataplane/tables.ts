import { existsSync } from "node:fs";
import { createArray, openPinned, pin, updateElement } from "../system/libbpf.ts";
import { mapDescriptor } from "../system/net.ts";
import { Limit, table } from "./generated/layout.ts";

const SIZE = Math.ceil(table.size / 8) * 8;
const PER_CHUNK = 2 * Limit.CHUNK_SERVICES;

/**
 * The services' tables, seen as memory: chunks of 2 * CHUNK_SERVICES that are made when a service needs one, so that an
 * instance pays for what it serves. A chunk stays for as long as the instance.
 */
export class Tables {
  readonly #chunks: ArrayBuffer[] = [];
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
  }

  /** Makes room for the tables of this service. Waits some 10 ms for each new chunk. Throws SluiceError (SLUICE_BPF_LOAD). */
  make(service: number): void {
    while (this.#chunks.length * Limit.CHUNK_SERVICES <= service) {
      const chunk = this.#chunks.length;
      const fd = createArray("tables", table.size, PER_CHUNK);
      updateElement(this.#outer, word(chunk), word(fd));
      pin(fd, this.#pin(chunk));
      this.#open(fd);
    }
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

const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
