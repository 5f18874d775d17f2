/**
 * `up` passes its check; `down` fails it; `draining` keeps what it has and gets nothing new; `maintenance` gets and
 * keeps nothing, by an operator's word; `unchecked` has no check and is taken as up.
 */
export const backendStates = ["up", "down", "draining", "maintenance", "unchecked"] as const;
export type BackendState = (typeof backendStates)[number];

/** What an operator asks of a backend; the check decides the rest. */
export type AdminState = "ready" | "drain" | "maintenance";

/** One address that serves a service, as every process and method sees it. Plain JSON. */
export interface Backend {
  /** u16, local to the service; never used again while a flow or a slot may still name it. */
  id: number;
  /** IPv4 or IPv6 literal, canonical text. */
  address: string;
  /** Null: the listener's port. */
  port: number | null;
  /** What a redirect names instead of `http://address:port`. */
  url?: string;
  /** Effective weight, 0..65535: slow start, agent and drain are already in it. */
  weight: number;
  state: BackendState;
  /** 0 is used first; a higher tier only when all lower ones are out. */
  tier: number;
  tags: string[];
  /** Reported by the backend, 0..1; null when it reports none. */
  load: number | null;
  /** Smoothed time of its checks' answers, ms, told in steps; absent where nobody chooses by it, and before the first answer. */
  latency?: number;
  /** Most units of work at a time, reported by the backend; absent when it reports none. */
  limit?: number;
}

/** `10.0.1.210:8000`, `[2001:db8::1]:80`, or the bare address when the port is the listener's. */
export function backendName(backend: Pick<Backend, "address" | "port">): string {
  if (backend.port === null) return backend.address;
  return backend.address.includes(":") ? `[${backend.address}]:${backend.port}` : `${backend.address}:${backend.port}`;
}
