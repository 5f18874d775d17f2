import { closeSync, openSync, writeSync } from "node:fs";
import { interfaceBlock, packetBlock, sectionHeader } from "./pcapng.ts";
import type { TraceRecord } from "./record.ts";
import type { TracedPacket } from "./text.ts";

/** A pcapng file of watched packets: each as it came, and behind it as it left, with its verdict as a comment. */
export class Capture {
  readonly #fd: number;
  readonly #snaplen: number;
  readonly #devices = new Map<string, number>();

  /** Makes or empties the file. Throws the system's error. */
  constructor(path: string, snaplen: number) {
    this.#fd = openSync(path, "w", 0o600);
    this.#snaplen = snaplen;
    writeSync(this.#fd, sectionHeader());
  }

  /** `time`: ns since 1970. */
  add(record: TraceRecord, packet: TracedPacket, time: bigint): void {
    const device = this.#device(packet.device);
    const who = [packet.service, packet.backend].filter((name) => name !== null);
    const comment = [packet.place, packet.verdict, packet.reason ?? "", ...who].filter(Boolean).join(" ");
    writeSync(this.#fd, packetBlock({ device, time, ...record.came, direction: "in", comment }));
    if (record.left)
      writeSync(this.#fd, packetBlock({ device, time: time + 1n, ...record.left, direction: "out", comment }));
  }

  #device(name: string): number {
    const known = this.#devices.get(name);
    if (known !== undefined) return known;
    writeSync(this.#fd, interfaceBlock(name, this.#snaplen));
    this.#devices.set(name, this.#devices.size);
    return this.#devices.size - 1;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
