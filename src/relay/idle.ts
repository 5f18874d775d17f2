import type { BackendLimits } from "./pool.ts";
import type { Upstream } from "./upstream.ts";
import type { Wheel } from "./wheel.ts";

/**
 * The connections of one worker to the backends of one service that have no work. Each backend's are a chain through the
 * connections themselves, last in, first out: a few warm ones carry the work and the others grow old and go. Of a
 * thousand backends each is cold when its turn comes, so a request meets two cells here and its connection, nothing else.
 */
export class Idle {
  /** By backend id, the one that was given last. Null: there is none; absent: none is kept. */
  private readonly newest: (Upstream | null | undefined)[] = [];
  /** By backend id, how many there are. */
  private readonly counts: number[] = [];
  readonly limits: BackendLimits;
  readonly wheel: Wheel;

  constructor(limits: BackendLimits, wheel: Wheel) {
    this.limits = limits;
    this.wheel = wheel;
  }

  /** Keeps connections to this backend from now on. */
  open(id: number): void {
    this.newest[id] ??= null;
    this.counts[id] ??= 0;
  }

  /** Keeps none any more. */
  shut(id: number): void {
    while (this.newest[id]) this.newest[id].destroy();
    this.newest[id] = undefined;
  }

  /** One that has rested at most `rest` ms; null when there is none. */
  take(id: number, rest: number): Upstream | null {
    const { newest } = this;
    const one = id < newest.length ? newest[id] : null;
    if (!one || one.rested > rest) return null;
    newest[id] = one.below;
    this.counts[id]!--;
    return one;
  }

  /** A connection has done its work and is whole. */
  give(one: Upstream): void {
    const { id } = one;
    const below = this.newest[id];
    if (below === undefined || this.counts[id]! >= this.limits.poolSize) {
      one.destroy();
      return;
    }
    one.rest(below);
    this.newest[id] = one;
    this.counts[id]!++;
  }

  /** A connection is gone; it need not have been here. */
  lost(one: Upstream): void {
    const { id } = one;
    let above: Upstream | null = null;
    for (let at = this.newest[id] ?? null; at !== null; at = at.below) {
      if (at === one) {
        if (above === null) this.newest[id] = at.below;
        else above.below = at.below;
        this.counts[id]!--;
        return;
      }
      above = at;
    }
  }
}
