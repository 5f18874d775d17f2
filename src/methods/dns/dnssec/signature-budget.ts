import type { ClientAddress } from "../../../geo/prefix.ts";
import { type Levels, RateLimiter } from "../rate-limit.ts";

/** How many signatures may be made: `perSecond` over a longer time, a twentieth of it at once. */
export class SignatureBudget {
  private readonly perSecond: number;
  private readonly burst: number;
  private readonly now: () => number;
  private left: number;
  private at: number;

  /** `now`: monotonic ms. */
  constructor(perSecond: number, now: () => number) {
    this.perSecond = perSecond;
    this.burst = Math.max(4, perSecond / 20);
    this.left = this.burst;
    this.now = now;
    this.at = now();
  }

  /** What those leave in it who are not served first: half. */
  get reserve(): number {
    return this.burst / 2;
  }

  /** Takes one; false when none is left above `reserve`. */
  take(reserve = 0): boolean {
    const now = this.now();
    this.left = Math.min(this.burst, this.left + ((now - this.at) * this.perSecond) / 1000);
    this.at = now;
    if (this.left < 1 + reserve) return false;
    this.left--;
    return true;
  }
}

/** Who asks for a signature. */
export interface Asker {
  /** Is the client's address known to be its own? */
  readonly proven: boolean;
  readonly address: Pick<ClientAddress, "octets" | "size">;
}

/** A network may take this part of all signatures before it has to leave some to others. */
const SHARE = 20;
const NETWORKS: Levels = {
  v4: [
    [24, 1],
    [16, 4],
  ],
  v6: [
    [56, 1],
    [48, 2],
    [32, 8],
  ],
};

/**
 * What may be signed in a worker, fairly. Clients over UDP may be forged, and can be sent to TCP: for names that they make
 * up they have a budget of their own. Of what proven clients and all names that exist share, half is kept for networks
 * that have asked for little: one that floods cannot take it from the others.
 */
export class SignatureBudgets {
  private readonly forged: SignatureBudget;
  private readonly proven: SignatureBudget;
  private readonly own: SignatureBudget;
  private readonly shares: RateLimiter;

  /** `perSecond`: of names that clients make up. `seed`: so that nobody can choose whose share to use. */
  constructor(perSecond: number, now: () => number, seed: number) {
    this.forged = new SignatureBudget(perSecond, now);
    this.proven = new SignatureBudget(perSecond, now);
    this.own = new SignatureBudget(perSecond * 4, now);
    const rate = Math.max(1, perSecond / SHARE);
    this.shares = new RateLimiter({ perSecond: rate, burst: rate / 2 + 1, except: null, levels: NETWORKS }, now, seed);
  }

  /** May one more be made? `made`: for a name that the client has made up. */
  take(made: boolean, asker: Asker): boolean {
    if (made && !asker.proven) return this.forged.take();
    const budget = made ? this.proven : this.own;
    return budget.take(asker.proven && this.hasShare(asker) ? 0 : budget.reserve);
  }

  private hasShare(asker: Asker): boolean {
    const { octets, size } = asker.address;
    return !this.shares.limited(octets, size);
  }
}
