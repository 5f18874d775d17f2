import type { Backend } from "../core/backend.ts";
import type { BlockLimits } from "../protocols/http/field-block.ts";
import type { Shared } from "./front.ts";
import { type Asker, Upstream } from "./upstream.ts";

/** Bounds of the backend side. Times in ms. */
export interface BackendLimits extends BlockLimits {
  readonly connectTimeout: number;
  /** From the last byte of the request that went out to the response head's last. */
  readonly responseTimeout: number;
  /** Between two reads of a response's body. */
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
  /** Last in, first out: a few warm connections carry the work and the others grow old and go. */
  private readonly idle: Upstream[] = [];
  readonly all = new Set<Upstream>();
  /** The backend is gone, or must not be used: nothing is kept. */
  closed = false;

  readonly shared: Shared;
  readonly limits: BackendLimits;
  readonly backend: Backend;
  readonly port: number;
  /** Called for each connection that stands. */
  readonly opened: () => void;

  constructor(shared: Shared, limits: BackendLimits, backend: Backend, port: number, opened: () => void) {
    this.shared = shared;
    this.limits = limits;
    this.backend = backend;
    this.port = port;
    this.opened = opened;
  }

  /** An idle connection that has rested at most `rest` ms; null when there is none. */
  take(rest: number): Upstream | null {
    const newest = this.idle[this.idle.length - 1];
    if (newest === undefined || this.shared.wheel.now - newest.restingSince > rest) return null;
    this.idle.pop();
    return newest;
  }

  /** A new connection for `asker`; the caller then calls its `connect`. */
  make(asker: Asker): Upstream {
    const upstream = new Upstream(this, asker);
    this.all.add(upstream);
    return upstream;
  }

  /** A connection has done its work and is whole. */
  give(upstream: Upstream): void {
    if (this.closed || this.idle.length >= this.limits.poolSize) {
      upstream.destroy();
      return;
    }
    upstream.rest();
    this.idle.push(upstream);
  }

  /** A connection is gone. */
  lost(upstream: Upstream): void {
    this.all.delete(upstream);
    const at = this.idle.lastIndexOf(upstream);
    if (at >= 0) this.idle.splice(at, 1);
  }

  /** Keeps no idle connection any more. */
  shut(): void {
    this.closed = true;
    for (const upstream of [...this.idle]) upstream.destroy();
  }
}
