import { coarseNanoseconds } from "../system/net.ts";
import { Limit } from "./generated/layout.ts";

/** ms to ticks of the program's clock, one more than needed. */
export const toTicks = (ms: number): number => Math.ceil((ms * 1e6) / 2 ** Limit.TICK_SHIFT) + 1;
export const ticksNow = (): number => Number((coarseNanoseconds() >> BigInt(Limit.TICK_SHIFT)) & 0xffff_ffffn);
