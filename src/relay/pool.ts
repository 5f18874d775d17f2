import type { Backend } from "../core/backend.ts";
import type { BlockLimits } from "../protocols/http/field-block.ts";
import type { Asker } from "./asker.ts";
import type { Idle } from "./idle.ts";
import { Upstream } from "./upstream.ts";

/** Bounds of the backend side. Times in ms. */
export interface BackendLimits extends BlockLimits {
  readonly connectTimeout: number;
  /** From the last byte of the request that went out to the response head's last. */
  readonly responseTimeout: number;
  /** Between two reads of a response's body; also for a backend that has answered to take more of the request. */
  readonly readTimeout: number;
  /** A connection without work is closed after this. */
  readonly poolTimeout: number;
  /** Idle connections kept per backend. */
  readonly poolSize: number;
  /** Without a byte in a tunnel. */
  readonly tunnelTimeout: number;
}

/** The connections of one worker to one backend. */
export class Pool {
  readonly all = new Set<Upstream>();
  readonly idle: Idle;
  readonly backend: Backend;
  readonly port: number;
  /** Called for each connection that stands. */
  readonly opened: () => void;
  /** Called when one of our own handlers of a connection threw. */
  readonly faulted: (error: Error) => void;

  constructor(idle: Idle, backend: Backend, port: number, opened: () => void, faulted: (error: Error) => void) {
    this.idle = idle;
    this.backend = backend;
    this.port = port;
    this.opened = opened;
    this.faulted = faulted;
    idle.open(backend.id);
  }

  /** A new connection for `asker`; the caller then calls its `connect`. */
  make(asker: Asker): Upstream {
    const upstream = new Upstream(this, asker);
    this.all.add(upstream);
    return upstream;
  }

  /** A connection is gone. */
  lost(upstream: Upstream): void {
    this.all.delete(upstream);
    this.idle.lost(upstream);
  }

  /** The backend may be used: its connections are kept. */
  open(): void {
    this.idle.open(this.backend.id);
  }

  /** The backend is gone, or must not be used: no idle connection is kept any more. */
  shut(): void {
    this.idle.shut(this.backend.id);
  }
}
