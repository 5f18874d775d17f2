/** A balancer that does for each packet what Katran's does, beside ours: `katran-like.bpf.c`. */
import { toBytes16 } from "../../src/core/address.ts";
import { mac } from "../../src/dataplane/testing/fixtures.ts";
import { BpfObject, createLru, possibleCpus, updateElement } from "../../src/system/libbpf.ts";
import { closeFd, parseMac } from "../../src/system/net.ts";
import { benchObject } from "./packet-rig.ts";

/** As in the source. */
const RING = 65_537;
/** Of a CPU's table: Katran's 8,000,000 by eight CPUs. */
const FLOWS = 1_000_000;

const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** IPv4 as the first of four words, network order. */
function addressWords(address: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(toBytes16(address).subarray(12));
  return bytes;
}

/** One TCP service over IPv4 backends. */
export class KatranLike {
  readonly #object: BpfObject;
  readonly program: number;

  constructor(vip: { address: string; port: number }, backends: readonly string[]) {
    this.#object = new BpfObject(benchObject("katran-like"));
    this.#object.load();
    this.program = this.#object.programFd("katran_like");
    const key = addressWords(vip.address, 20);
    key.set([vip.port >> 8, vip.port & 0xff, 6], 16);
    updateElement(this.#object.mapFd("vips"), key, new Uint8Array(8));
    for (const [i, address] of backends.entries())
      updateElement(this.#object.mapFd("reals"), word(i), addressWords(address, 20));
    for (let slot = 0; slot < RING; slot++)
      updateElement(this.#object.mapFd("rings"), word(slot), word(slot % backends.length));
    const way = new Uint8Array(8);
    way.set(parseMac(mac.gateway)!);
    updateElement(this.#object.mapFd("ways"), word(0), way);
    for (let cpu = 0; cpu < Math.min(128, possibleCpus()); cpu++) {
      const table = createLru("flows", 40, 16, FLOWS);
      updateElement(this.#object.mapFd("flow_tables"), word(cpu), word(table));
      closeFd(table);
    }
  }

  close(): void {
    this.#object.close();
  }
}
