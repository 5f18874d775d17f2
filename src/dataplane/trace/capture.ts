import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { interfaceBlock, packetBlock, sectionHeader } from "./pcapng.ts";
import type { TraceRecord } from "./record.ts";
import type { TracedPacket } from "./text.ts";

/** A pcapng file of watched packets: each as it came, and behind it as it left, with its verdict as a comment. */
export class Capture {
  readonly #fd: number;
  readonly #snaplen: number;
  readonly #devices = new Map<string, number>();
  /** Of whole records. */
  #bytes = 0;
  #packets = 0;
  #failure: string | null = null;

  /** Makes or empties the file. Throws the system's error. */
  constructor(path: string, snaplen: number) {
    this.#fd = openSync(path, "w", 0o600);
    this.#snaplen = snaplen;
    this.#write([sectionHeader()]);
    if (this.#failure === null) return;
    closeSync(this.#fd);
    throw new Error(this.#failure);
  }

  /** Why nothing more is written: the disk is full, say. Null: all goes well. What is in the file is whole. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Packets that the file holds. */
  get packets(): number {
    return this.#packets;
  }

  /** Nothing once writing has failed. `time`: ns since 1970. */
  add(record: TraceRecord, packet: TracedPacket, time: bigint): void {
    if (this.#failure !== null) return;
    const blocks: Uint8Array[] = [];
    const device = this.#device(packet.device, blocks);
    const who = [packet.service, packet.backend].filter((name) => name !== null);
    const comment = [packet.place, packet.verdict, packet.reason ?? "", ...who].filter(Boolean).join(" ");
    blocks.push(packetBlock({ device, time, ...record.came, direction: "in", comment }));
    if (record.left) blocks.push(packetBlock({ device, time: time + 1n, ...record.left, direction: "out", comment }));
    if (this.#write(blocks)) this.#packets++;
  }

  /** The number of a device; `blocks` gets the one that names it, once. */
  #device(name: string, blocks: Uint8Array[]): number {
    const known = this.#devices.get(name);
    if (known !== undefined) return known;
    blocks.push(interfaceBlock(name, this.#snaplen));
    this.#devices.set(name, this.#devices.size);
    return this.#devices.size - 1;
  }

  /** All or nothing: what was written of blocks that find no room is taken back, so that readers stumble over no half. */
  #write(blocks: readonly Uint8Array[]): boolean {
    const all = Buffer.concat(blocks);
    try {
      for (let done = 0; done < all.length; ) done += writeSync(this.#fd, all, done);
      this.#bytes += all.length;
      return true;
    } catch (error) {
      this.#failure = (error as Error).message;
      try {
        ftruncateSync(this.#fd, this.#bytes);
      } catch {
        // A pipe, or a device: there is nothing to take back.
      }
      return false;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
