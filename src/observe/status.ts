import type { BackendState } from "../core/backend.ts";
import type { Code } from "../core/codes.ts";
import type { Counts } from "../core/counters.ts";
import type { GroupState } from "../core/method.ts";
import type { Problem } from "../core/problem.ts";
import type { MethodName } from "../core/service.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { Trouble } from "../core/trouble.ts";

export const STATUS_SCHEMA = "sluice.status/v1";

/** All there is to see of an instance. Plain JSON; times in ms since 1970. Null: it cannot be known. */
export interface StatusModel extends StatusHead {
  services: ServiceStatus[];
}

/** What is said of the instance itself. */
export interface StatusHead {
  schema: typeof STATUS_SCHEMA;
  /** When this was looked up. */
  at: number;
  instance: string;
  pid: number;
  version: string;
  /** The configuration file, as an absolute path. */
  file: string;
  revision: number;
  /** When the daemon started. */
  since: number;
  workers: number;
  /** Does a started worker wait to take the place of one that dies? */
  spare: boolean;
  /** What methods count that belongs to no service, and what they say of themselves. */
  methods: { name: MethodName; tallies: Partial<Record<Code, number>>; describe: string[] }[];
}

/** A status whose services come one by one, in order and once: those of a hundred thousand backends are some 100 MiB. */
export interface StatusView<Services = Iterable<ServiceStatus>> {
  head: StatusHead;
  services: Services;
}

export interface ServiceStatus {
  name: string;
  method: MethodName;
  state: "serving" | "failed" | "standby";
  /** Why it failed. */
  problem: Problem | null;
  listeners: string[];
  names: string[];
  scheduler: string;
  /** What its method says of itself: `xdp native on eth0`. */
  describe: string[];
  /** What is wrong around it now. */
  troubles: Trouble[];
  counts: Counts;
  /** Packets dropped, by reason; empty where the method sees no packets. */
  drops: Partial<Record<Code, number>>;
  /** Groups of its backends that one is chosen of, outer ones first; absent or empty: it has none. */
  groups?: GroupState[];
  backends: BackendStatus[];
}

export interface BackendStatus {
  id: number;
  name: string;
  state: BackendState;
  /** May get new work now. */
  eligible: boolean;
  weight: number;
  /** Part of the service's new work that its weight gives it, 0..1. */
  share: number;
  /** Reported by the backend, 0..1; null or absent: it reports none. */
  load?: number | null;
  /** Most units of work at a time, reported by the backend; null or absent: it reports none. */
  limit?: number | null;
  counts: Counts;
  /** The last answer of its agent: its words, and the percentage of its weight that stands. Null or absent: not asked. */
  agent?: { code: Code; detail: string; percent: number; at: number } | null;
  /** The last probe; null for an unchecked backend and before the first verdict. */
  check: { code: Code; detail: string; latency: number | null; at: number } | null;
  /** When it came into its state. */
  since: number;
  /** What an operator has said of it and still holds; `until` null: without an end. Null or absent: nothing. */
  operator?: { what: "state" | "weight"; is: string; until: number | null }[] | null;
  /** Its requests failed too often: why, and when it gets work again. Null or absent: it is not ejected. */
  ejected?: { why: string; until: number } | null;
}

/** What `BackendStatus.share` holds, by id: weight over the weights of all eligible ones; who is none has no share. */
export function expectedShares(snapshot: Snapshot): Map<number, number> {
  const eligible = new Set(snapshot.eligible);
  const able = snapshot.backends.filter(({ id }) => eligible.has(id));
  const total = able.reduce((sum, { weight }) => sum + weight, 0);
  return new Map(able.map(({ id, weight }) => [id, total > 0 ? weight / total : 0]));
}
