import type { BackendState } from "./backend.ts";
import type { Code } from "./codes.ts";
import type { Problem } from "./problem.ts";

/** What happened, once, as data: log, `events`, metrics and dashboard render the same one. Times in ms since 1970. */
export type Event = { at: number } & (
  | {
      kind: "backend";
      service: string;
      backend: string;
      from: BackendState;
      to: BackendState;
      code: Code;
      detail: string;
      /** `check 3/3`; null when an operator or a revision changed it. */
      progress: { count: number; of: number } | null;
      latency: number | null;
      /** How many may get new work now, of how many. */
      eligible: number;
      of: number;
    }
  | { kind: "revision"; revision: number; outcome: "running" | "refused"; problems: Problem[]; changes: string[] }
  | { kind: "worker"; pid: number; what: "ready" | "lacking" | "draining" | "exited" | "died"; detail: string }
  /** Probes pause until another takes its place; what was found stands meanwhile. `silent`: it lived, and said nothing. */
  | { kind: "checker"; pid: number; what: "died" | "silent"; detail: string }
  | { kind: "service"; service: string; what: "serving" | "failed"; problem: Problem | null }
  /** Too few of a group's backends are up, or enough again; `group` is its path. */
  | { kind: "group"; service: string; group: string; good: boolean; up: number; of: number }
  /** So many backends are out that all get work; or no longer. */
  | { kind: "panic"; service: string; on: boolean; healthy: number; of: number }
  | { kind: "role"; service: string; what: "promoted" | "demoted" }
);

/** The event without its time; whoever records it adds `at`. */
export type EventBody = Event extends infer E ? (E extends unknown ? Omit<E, "at"> : never) : never;
