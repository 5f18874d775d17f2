import { coarseNanoseconds } from "../system/net.ts";
import { Limit } from "./generated/layout.ts";

/** ms to ticks of the program's clock, one more than needed. */
const toTicks = (ms: number): number => Math.ceil((ms * 1e6) / 2 ** Limit.TICK_SHIFT) + 1;
export const ticksNow = (): number => Number((coarseNanoseconds() >> BigInt(Limit.TICK_SHIFT)) & 0xffff_ffffn);

/** A time-out in ms as a cell holds it (`sluice_life` in bpf/limits.h): never shorter, at most an eighth longer. */
export function toLife(ms: number): number {
  const ticks = toTicks(ms);
  let code = 0;
  while (lifeTicks(code) < ticks) code++;
  return code;
}

/** The same as `life_ticks` in bpf/remember.h. */
export const lifeTicks = (code: number): number => (code < 8 ? code : (8 + (code & 7)) << ((code >> 3) - 1));
