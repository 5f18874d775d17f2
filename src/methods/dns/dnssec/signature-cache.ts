/** One signature, and when it is to be made anew (seconds since 1970). `tag`: of the key that made it. */
export interface Cached {
  rrsig: Uint8Array;
  tag: number;
  renewAt: number;
}

/**
 * Signatures by what they cover. Holds at most twice `most`: when the young half is full it becomes the old one, and
 * what is asked for moves back to the young. So what is in use stays, and a stream of names that nobody asks for twice
 * flows through.
 */
export class SignatureCache {
  private readonly most: number;
  private young = new Map<string, Cached>();
  private old = new Map<string, Cached>();

  constructor(most: number) {
    this.most = most;
  }

  get size(): number {
    return this.young.size + this.old.size;
  }

  get(key: string): Cached | undefined {
    const found = this.young.get(key);
    if (found !== undefined) return found;
    const older = this.old.get(key);
    if (older === undefined) return undefined;
    this.old.delete(key);
    this.set(key, older);
    return older;
  }

  set(key: string, value: Cached): void {
    if (this.young.size >= this.most) {
      this.old = this.young;
      this.young = new Map();
    }
    this.young.set(key, value);
  }
}

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

  /** Takes one; false when none is left. */
  take(): boolean {
    const now = this.now();
    this.left = Math.min(this.burst, this.left + ((now - this.at) * this.perSecond) / 1000);
    this.at = now;
    if (this.left < 1) return false;
    this.left--;
    return true;
  }
}
