import type { MethodName } from "../../core/service.ts";
import type { HopView } from "./journey.ts";
import type { Losses } from "./losses.ts";
import type { Share } from "./shares.ts";
import type { Tried } from "./stage.ts";

/** The path of one request, as captured. */
export interface PathResult {
  hops: HopView[];
  /** What the client waited for, in order: one round trip each. */
  exchanges: string[];
  roundTrips: number;
  /** Frames on the director's cables per request, over `requests` of them. */
  packetsPerRequest: number;
  requests: number;
  bypassesDirector: boolean;
}

export interface SharesResult {
  backends: Share[];
  requests: number;
  lost: number;
  /** Percentage points. */
  error: number;
  limit: number;
}

/** Times in ms. */
export interface DeathResult extends Losses {
  victim: string;
  /** Until this long after the death GETs may be lost. */
  allowed: number;
  /** From the death until the director took the backend out; null when it never did. */
  avoidedAfter: number | null;
  /** Downloads from living backends that ran through it, and how many of them broke. */
  living: number;
  broken: number;
}

/** What the demo saw of one method. A part is null where it could not be measured. */
export interface MethodResult {
  method: MethodName;
  where: "lab" | "loopback";
  /** What the daemon says of its way: `xdp native on eth0`. */
  describe: string[];
  works: boolean;
  /** What did not hold, as sentences; empty when all did. */
  failures: string[];
  /** The lab's own commands, as they would be typed. */
  tries: Tried[];
  path: PathResult | null;
  shares: SharesResult | null;
  death: DeathResult | null;
  /** s */
  took: number;
}

export const DEMO_SCHEMA = "sluice.demo/v1";

export interface DemoReport {
  schema: typeof DEMO_SCHEMA;
  ok: boolean;
  /** What was left out, and why. */
  leftOut: { method: MethodName; why: string }[];
  methods: MethodResult[];
  /** s */
  took: number;
}
