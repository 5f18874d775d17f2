import { testRun } from "../system/test-run.ts";
import { busy as busyAt, Limit, sweepOrder } from "./generated/layout.ts";
import type { PlaneMemory } from "./memory.ts";

/** What a sweep of the whole flow table has found. */
export interface Swept {
  /** Does this slot hold a live flow of another backend than its current one? */
  busy(service: number, slot: number): boolean;
  /** Live flows of a backend, by the plane's number. */
  live(backend: number): number;
}

/**
 * Goes through the flow table, frees dead cells and those of settled slots, and tells what lives. Blocks for about
 * 20 ns per bucket. Begin it after the barrier of what it is to judge.
 */
export function sweep(memory: PlaneMemory, program: number, buckets: number): Swept {
  memory.busy_slots.bytes.fill(0);
  memory.live_flows.bytes.fill(0);
  const frame = new Uint8Array(Math.max(64, sweepOrder.size));
  const order = new DataView(frame.buffer);
  order.setUint32(sweepOrder.count, Limit.SWEEP_STEP, true);
  for (let first = 0; first < buckets; first += Limit.SWEEP_STEP) {
    order.setUint32(sweepOrder.first, first, true);
    testRun(program, frame);
  }
  const { words: marks } = memory.busy_slots;
  const { words: flows } = memory.live_flows;
  return {
    busy: (service, slot) => ((marks[service * (busyAt.size / 4) + (slot >>> 5)]! >>> (slot & 31)) & 1) === 1,
    live: (backend) => flows[backend * 2]!,
  };
}
