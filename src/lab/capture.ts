import { readFileSync, statSync } from "node:fs";
import { sleep } from "../runtime/clock.ts";
import type { Packet } from "./packet.ts";
import { parsePcap } from "./pcap.ts";
import { type ProcessId, signal, waitGone } from "./processes.ts";

/** A tcpdump that runs. */
export interface Capture {
  /** The file it writes. */
  readonly file: string;
  /** What it holds by now. */
  packets(): Packet[];
  /** Waits until the packets satisfy `enough`; then, or after `timeout` ms, gives what there is. */
  until(enough: (packets: Packet[]) => boolean, timeout?: number): Promise<Packet[]>;
  /** Ends it; what was sent before is in. */
  stop(): Promise<Packet[]>;
}

/** tcpdump without packet buffering, names or change of user. `filter` is pcap-filter(7). */
export const captureCommand = (device: string, file: string, filter: string): string[] => [
  ...["tcpdump", "-i", device, "-U", "-n", "--immediate-mode", "-Z", "root", "-B", "16384", "-s", "0", "-w", file],
  ...(filter ? [filter] : []),
];

const size = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** Wraps a started tcpdump; waits until it listens. Throws with its words when it ends instead. */
export async function followCapture(process_: ProcessId, file: string, errors: () => string): Promise<Capture> {
  const packets = () => parsePcap(readFileSync(file));
  for (const end = performance.now() + 10_000; !errors().includes("listening on"); await sleep(5))
    if (performance.now() > end || !signal(process_, "SIGCONT"))
      throw new Error(`tcpdump does not start: ${errors().trim()}`);
  return {
    file,
    packets,
    async until(enough, timeout = 5_000) {
      for (const end = performance.now() + timeout; performance.now() < end; await sleep(10)) {
        const seen = packets();
        if (enough(seen)) return seen;
      }
      return packets();
    },
    async stop() {
      // The last packets are still on their way from the kernel: wait until the file rests.
      for (let before = -1, round = 0; size(file) !== before && round < 20; round++) {
        before = size(file);
        await sleep(40);
      }
      signal(process_, "SIGINT");
      if (!(await waitGone(process_, 2_000))) signal(process_, "SIGKILL");
      return packets();
    },
  };
}
