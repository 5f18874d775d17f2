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
