/**
 * Every count of a service or of one of its backends. `gauge` cells fall back when a worker dies; the others only grow.
 * A name that a method does not declare in `traits.counts` is null for it, never 0. What every request counts stands
 * among the first eight: they are one line of the processor's cache.
 */
export const counters = {
  active: { kind: "gauge", help: "Connections or requests under way." },
  requests: { kind: "counter", help: "Requests, redirects or DNS queries answered." },
  bytesIn: { kind: "counter", help: "Bytes from clients." },
  bytesOut: { kind: "counter", help: "Bytes to clients." },
  waited: { kind: "counter", help: "Seconds from choosing a backend until its response began, in sum." },
  connections: { kind: "counter", help: "Client connections (or flows) accepted." },
  errors: { kind: "counter", help: "Requests that ended in an error made here." },
  failures: {
    kind: "counter",
    help: "Requests that a backend failed: no valid answer, or a status that counts as one.",
  },
  retries: { kind: "counter", help: "Requests sent once more to another backend or connection." },
  packetsIn: { kind: "counter", help: "Packets from clients." },
  packetsOut: { kind: "counter", help: "Packets to clients." },
  drops: { kind: "counter", help: "Packets dropped, all reasons." },
  unlogged: {
    kind: "counter",
    help: "Lines of the access log that were dropped: its file or reader could not follow.",
  },
  queued: { kind: "gauge", help: "Requests that wait for a backend below its limit." },
} as const satisfies Record<string, { kind: "counter" | "gauge"; help: string }>;

export type CounterName = keyof typeof counters;
export const counterNames = Object.keys(counters) as CounterName[];
export const counterIndex = Object.fromEntries(counterNames.map((name, i) => [name, i])) as Record<CounterName, number>;

/** Cells of a service or of one of its backends: two whole lines of the cache. */
export const COUNT_CELLS = 16;

/** Counts of one service or backend; null is "this method cannot know". */
export type Counts = Record<CounterName, number | null>;

/**
 * Where a service's cells lie in a worker's counter memory (Float64 cells, one writer). Cell of a backend's count:
 * `base + (backendId + 1) * COUNT_CELLS + counterIndex[name]`; backendId -1 is the service itself.
 */
export interface CellRange {
  service: string;
  base: number;
  /** Backend ids below this have cells. */
  backends: number;
}
