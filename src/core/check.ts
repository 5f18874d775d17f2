import type { z } from "zod";
import type { AdminState } from "./backend.ts";
import type { Code } from "./codes.ts";

/** The part of a check that is the same for every kind. Times in ms. */
export interface CheckTiming {
  interval: number;
  timeout: number;
  /** Successes in a row that bring a backend up. */
  rise: number;
  /** Failures in a row that take it down. */
  fall: number;
  /** A backend that falls again within this time of its coming back rises the slower. Absent: each rise is like the first. */
  damp?: number;
}

/** A service's check: which kind (`tcp`, `http`), its own options, and the timing. Plain JSON. */
export interface CheckConfig extends CheckTiming {
  kind: string;
  options: unknown;
}

/** Where backends answer for themselves, beside the check. Times in ms. */
export interface AgentConfig {
  port: number;
  interval: number;
  timeout: number;
  /** Sent as soon as the connection stands; absent: nothing is. */
  send?: string;
}

/** What a backend said of itself in one answer. What it does not name stays as it was. */
export interface AgentWord {
  admin?: AdminState;
  /** `up`, or one of `down`, `fail`, `stopped`. */
  up?: boolean;
  /** Percent of the weight that is written or an operator's. */
  percent?: number;
  /** Most units of work at a time; 0: no limit of its own. */
  limit?: number;
  /** 0..1 */
  load?: number;
}

/** One probe's result. */
export interface Verdict {
  passed: boolean;
  code: Code;
  /** What was seen, one clause: `connect refused`, `status 503`. */
  detail: string;
  /** ms, null when there was no answer. */
  latency: number | null;
  /** An agent's answer; absent in the verdict of a check, and of an agent that gave none. */
  said?: AgentWord;
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
