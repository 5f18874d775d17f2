import type { Backend } from "../core/backend.ts";
import type { BlockLimits } from "../protocols/http/field-block.ts";
import type { Asker } from "./asker.ts";
import type { Shared } from "./front.ts";
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
  /**
   * The idle ones, last in, first out: a few warm connections carry the work and the others grow old and go. A chain
   * through the connections themselves: of a thousand backends each is cold when its turn comes, and so would be a list.
   */
  private top: Upstream | null = null;
  private size = 0;
  /** The backend is gone, or must not be used: nothing is kept. */
  closed = false;
  readonly all = new Set<Upstream>();

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
    const newest = this.top;
    if (newest === null || newest.rested > rest) return null;
    this.top = newest.below;
    this.size--;
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
    if (this.closed || this.size >= upstream.limits.poolSize) {
      upstream.destroy();
      return;
    }
    upstream.rest();
    upstream.below = this.top;
    this.top = upstream;
    this.size++;
  }

  /** A connection is gone. */
  lost(upstream: Upstream): void {
    this.all.delete(upstream);
    let above: Upstream | null = null;
    for (let at = this.top; at !== null; at = at.below) {
      if (at === upstream) {
        if (above === null) this.top = at.below;
        else above.below = at.below;
        this.size--;
        return;
      }
      above = at;
    }
  }

  /** Keeps no idle connection any more. */
  shut(): void {
    this.closed = true;
    while (this.top !== null) this.top.destroy();
  }
}
