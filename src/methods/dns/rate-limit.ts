import { mix32 } from "../../core/hash.ts";
import type { PrefixTrie } from "../../geo/trie.ts";

/** How many bits of an address make a bucket, and how many times the rate it may take. At most five of each kind. */
export interface Levels {
  v4: readonly (readonly [bits: number, times: number])[];
  v6: readonly (readonly [bits: number, times: number])[];
}

/** Those of answers (Knot DNS, mod-rrl). */
export const ANSWER_LEVELS: Levels = {
  v4: [
    [32, 1],
    [24, 32],
    [20, 256],
    [18, 768],
  ],
  v6: [
    [128, 1],
    [64, 2],
    [56, 3],
    [48, 4],
    [32, 64],
  ],
};
const MOST_LEVELS = 5;

/** Buckets, a power of two; 12 octets each. One that is full again may be taken over. */
const BUCKETS = 1 << 17;

export interface RateLimits {
  /** Answers per second to one address, over a longer time. */
  perSecond: number;
  /** Answers to one address at once. */
  burst: number;
  /** Networks that are never limited. */
  except: PrefixTrie | null;
  /** Default: those of answers. */
  levels?: Levels;
}

/**
 * Response rate limiting: a forged query makes us send an answer to somebody else, so answers per client network are
 * bounded. A bucket per prefix length, the wider the roomier: many addresses of one network cannot do together what one
 * may not. Each is a leaky bucket kept as one number, the time at which it would be empty. Not exact when two networks
 * meet in a place; then both count as one until it is empty.
 */
export class RateLimiter {
  private readonly limits: RateLimits;
  private readonly now: () => number;
  private readonly seed: number;
  /** When each bucket is empty, ms. */
  private readonly empty = new Float64Array(BUCKETS);
  private readonly tags = new Uint32Array(BUCKETS);
  /** Places and costs of the present client's buckets. */
  private readonly places = new Uint32Array(MOST_LEVELS);
  private readonly costs = new Float64Array(MOST_LEVELS);

  /** `now`: monotonic ms. `seed`: so that nobody can choose whose bucket to share. */
  constructor(limits: RateLimits, now: () => number, seed: number) {
    this.limits = limits;
    this.now = now;
    this.seed = seed;
  }

  /** Counts an answer to the client at `address[0..size)` (4 or 16 octets); true: it must not be sent. */
  limited(address: Uint8Array, size: number): boolean {
    const { perSecond, burst, except, levels: kinds = ANSWER_LEVELS } = this.limits;
    if (except !== null && except.find(address, 0, size).value >= 0) return false;
    const now = this.now();
    const levels = size === 4 ? kinds.v4 : kinds.v6;
    const interval = 1000 / perSecond;
    for (let i = 0; i < levels.length; i++) {
      const [bits, times] = levels[i]!;
      const place = this.placeOf(this.hash(address, bits), now);
      const cost = interval / times;
      // A wider network has the same time to empty, and so a burst in proportion.
      if (this.empty[place]! - now > interval * burst - cost) return true;
      this.places[i] = place;
      this.costs[i] = cost;
    }
    for (let i = 0; i < levels.length; i++) {
      const place = this.places[i]!;
      this.empty[place] = Math.max(this.empty[place]!, now) + this.costs[i]!;
    }
    return false;
  }

  private hash(address: Uint8Array, bits: number): number {
    let hash = this.seed ^ bits;
    const whole = bits >> 3;
    for (let i = 0; i < whole; i++) hash = Math.imul(hash ^ address[i]!, 0x01000193);
    if ((bits & 7) !== 0) hash = Math.imul(hash ^ (address[whole]! & (0xff00 >> (bits & 7))), 0x01000193);
    return mix32(hash);
  }

  /** The bucket of a hash: its own, else one of two that is empty, else the emptier of both, shared. */
  private placeOf(hash: number, now: number): number {
    const first = hash & (BUCKETS - 1);
    const second = first ^ 1;
    if (this.tags[first] === hash) return first;
    if (this.tags[second] === hash) return second;
    const place = this.empty[first]! <= this.empty[second]! ? first : second;
    if (this.empty[place]! <= now) this.tags[place] = hash;
    return place;
  }
}
