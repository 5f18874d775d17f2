import type { z } from "zod";
import type { Code } from "./codes.ts";

/** The part of a check that is the same for every kind. Times in ms. */
export interface CheckTiming {
  interval: number;
  timeout: number;
  /** Successes in a row that bring a backend up. */
  rise: number;
  /** Failures in a row that take it down. */
  fall: number;
}

/** A service's check: which kind (`tcp`, `http`), its own options, and the timing. Plain JSON. */
export interface CheckConfig extends CheckTiming {
  kind: string;
  options: unknown;
}

/** One probe's result. */
export interface Verdict {
  passed: boolean;
  code: Code;
  /** What was seen, one clause: `connect refused`, `status 503`. */
  detail: string;
  /** ms, null when there was no answer. */
  latency: number | null;
}

/** Where a probe goes. */
export interface ProbeTarget {
  address: string;
  port: number;
  /** Bind to this source, when the path to the backend hangs on it (`direct`, `tunnel`). */
  source?: { address: string; port: number };
}

/** A kind of check. */
export interface CheckDefinition<O = unknown> {
  readonly name: string;
  readonly summary: string;
  readonly options: z.ZodType<O>;
  /** The key under `check:` may hold a bare value (`http: /healthz`, `tcp: true`); this makes options of it. */
  fromShort?(value: unknown): unknown;
  /** Never throws; ends within `timeout` ms. */
  probe(target: ProbeTarget, options: O, timeout: number): Promise<Verdict>;
}

export const defineCheck = <O>(definition: CheckDefinition<O>): CheckDefinition<O> => definition;
