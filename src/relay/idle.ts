import type { BackendLimits } from "./pool.ts";
import type { Upstream } from "./upstream.ts";
import type { Wheel } from "./wheel.ts";

/**
 * The connections of one worker to the backends of one service that have no work. Each backend's are a chain through the
 * connections themselves, last in, first out: a few warm ones carry the work and the others grow old and go. Of a
 * thousand backends each is cold when its turn comes, so a request meets one cell here and its connection, nothing else.
 */
export class Idle {
  /** By backend id, the one that was given last. Null: there is none; absent: none is kept. */
  private readonly newest: (Upstream | null | undefined)[] = [];
  readonly limits: BackendLimits;
  readonly wheel: Wheel;

  constructor(limits: BackendLimits, wheel: Wheel) {
    this.limits = limits;
    this.wheel = wheel;
  }

  /** Keeps connections to this backend from now on. */
  open(id: number): void {
    this.newest[id] ??= null;
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
    return one;
  }

  /** A connection has done its work and is whole. */
  give(one: Upstream): void {
    const below = this.newest[one.id];
    const depth = below ? below.depth + 1 : 1;
    if (below === undefined || depth > this.limits.poolSize) {
      one.destroy();
      return;
    }
    one.rest(below, depth);
    this.newest[one.id] = one;
  }

  /** A connection is gone; it need not have been here. */
  lost(one: Upstream): void {
    let above: Upstream | null = null;
    for (let at = this.newest[one.id] ?? null; at !== null; at = at.below) {
      if (at === one) {
        if (above === null) this.newest[one.id] = at.below;
        else above.below = at.below;
        for (let k = this.newest[one.id] ?? null; k !== null && k !== one.below; k = k.below) k.depth--;
        return;
      }
      above = at;
    }
  }
}
