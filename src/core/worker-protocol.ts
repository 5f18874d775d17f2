import type { CheckConfig, ProbeTarget, Verdict } from "./check.ts";
import type { Code } from "./codes.ts";
import type { CellRange } from "./counters.ts";
import type { Counted } from "./most-wanted.ts";
import type { Problem } from "./problem.ts";
import type { Config, Geography, Listener, MethodName, Service } from "./service.ts";
import type { Snapshot } from "./snapshot.ts";

/** A listening socket that a child has been given: descriptor number in the child. */
export interface InheritedSocket extends Listener {
  fd: number;
}

/**
 * One memory for all workers of an instance: `rows` rows of `rowCells` cells, one row a worker, row 0 the dead's. The
 * last cell of row 0 is the highest row in use.
 */
export interface CounterMemory {
  rows: number;
  rowCells: number;
  /** The row this worker writes; it may read all. */
  row: number;
}

/** What a relay worker serves, whole: one message, then snapshots. */
export interface Assignment {
  revision: number;
  seed: number;
  /** Of the revision. */
  epoch: number;
  /** Is it the first of its generation's workers? What must be done once is its work. */
  first: boolean;
  /** Path of the bundled TypeScript configuration: functions are found in it by path. */
  bundle: string | null;
  services: Service[];
  settings: Config["settings"];
  geography: Geography;
  snapshots: Snapshot[];
  sockets: InheritedSocket[];
  cells: CellRange[];
  memory: CounterMemory;
  /**
   * It takes the place of one that died: what it reads has served before, and where that cannot be read any more it
   * serves without. A first generation is refused then.
   */
  replaces: boolean;
  /** Most client connections this worker may hold. */
  connectionLimit: number;
  /** Others serve the same sockets still: what belongs to their UDP sessions is theirs until `open`. */
  waits: boolean;
  log: Config["log"];
  /** What each method's keeper gives (`SecretKeeper`). */
  secrets: Record<string, unknown>;
}

/** Descriptor of the counter memory in every relay worker. */
export const COUNTER_FD = 3;
/** Descriptor of the channel over which a relay worker gets the sockets of its assignment, and sessions come and go. */
export const CHANNEL_FD = 4;
/** The daemon's end of it: kept for the next daemon, which finds it here when this one is gone. */
export const CHANNEL_END_FD = 5;
/** Under this number and those behind it they are held: beyond what a worker opens before it has an assignment. */
export const FIRST_SOCKET_FD = 128;

/** What a worker that hands sessions over sends last. */
export const LAST_PACKET = "last";

export type ToWorker =
  | { kind: "assign"; assignment: Assignment }
  /** Of these services, all new: of one whose backends changed, or of all when a revision is in force. */
  | { kind: "snapshots"; snapshots: readonly Snapshot[] }
  /**
   * Stop accepting, finish what is under way, answer `drained`, exit. `handOver`: give the UDP sessions at these sockets (named
   * by `socketIdentity`) away over the channel.
   */
  | { kind: "drain"; deadlineMs: number; handOver?: readonly string[] }
  /** A packet of sessions lies in the channel. */
  | { kind: "sessions" }
  /** All sessions have come: take datagrams. */
  | { kind: "open" }
  /** Log files have been moved away: open them anew. */
  | { kind: "reopen" }
  | { kind: "secrets"; method: string; value: unknown };

export type FromWorker =
  /** Its files are read, its rights given up: it waits for an assignment. */
  | { kind: "loaded" }
  | { kind: "ready"; revision: number }
  | { kind: "failed"; service: string; problem: Problem }
  /** It serves the services of this method, without something that they should have. */
  | { kind: "lacks"; method: MethodName; problem: Problem }
  /** Passive health: a request to this backend failed in this way. */
  | { kind: "observed"; service: string; backend: number; why: Code }
  | { kind: "wanted"; service: string; counted: readonly Counted[] }
  | { kind: "drained" };

/** One backend to probe. `key` is `service/backendId`. */
export interface ProbeJob {
  key: string;
  check: CheckConfig;
  target: ProbeTarget;
}

/** ms between two signs of life of a checker: its verdicts may lie further apart. */
export const CHECKER_BEAT = 1000;

export type ToChecker = { kind: "jobs"; jobs: ProbeJob[] };
/** Every probe's verdict; the state machine is the supervisor's. */
export type FromChecker =
  /** In the order they came. */
  { kind: "verdicts"; verdicts: readonly [key: string, verdict: Verdict][] } | { kind: "ready" } | { kind: "beat" };
