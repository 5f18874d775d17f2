import { Limit } from "../../../dataplane/generated/layout.ts";
import { clearHostBits } from "../../../geo/prefix.ts";
import type { DnsSettings } from "../options.ts";
import { ANSWER_LEVELS } from "../rate-limit.ts";
import { DnsLimit, dnsLevel } from "./layout.ts";

type RateLimit = NonNullable<DnsSettings["rateLimit"]>;

/** How many answers client networks may have from the program. */
export interface Rates {
  /** `struct dns_level`s of IPv4, then of IPv6. */
  levels: Uint8Array;
  slip: number;
  /** So that nobody can choose whose bucket to share. */
  seed: number;
}

/** Of `struct rate`. */
const UNITS_PER_SECOND = 1e9 / 2 ** Limit.RATE_SHIFT;
const MOST_UNITS = 2 ** 32 - 1;

/** Units in which a full bucket empties: of wider networks the same, so that their bursts are in proportion. */
const emptiesIn = ({ perSecond, burst = perSecond }: RateLimit): number => (burst * UNITS_PER_SECOND) / perSecond;

/** Can a bucket of the program not hold so much? */
export const tooLong = (limit: RateLimit): boolean => emptiesIn(limit) > MOST_UNITS;

/** The same limits as `RateLimiter` has, for the program's own buckets. */
export function ratesOf(limit: RateLimit, seed: number): Rates {
  const { DNS_LEVELS } = DnsLimit;
  const levels = new Uint8Array(2 * DNS_LEVELS * dnsLevel.size);
  const view = new DataView(levels.buffer);
  for (const [family, list] of [ANSWER_LEVELS.v4, ANSWER_LEVELS.v6].entries())
    for (const [i, [bits, times]] of list.entries()) {
      const at = (family * DNS_LEVELS + i) * dnsLevel.size;
      const interval = Math.max(1, Math.round(UNITS_PER_SECOND / (limit.perSecond * times)));
      levels.set(clearHostBits(new Uint8Array(16).fill(0xff), bits), at + dnsLevel.mask);
      view.setUint32(at + dnsLevel.interval, interval, true);
      view.setUint32(at + dnsLevel.burst, Math.max(0, Math.round(emptiesIn(limit)) - interval), true);
    }
  return { levels, slip: limit.slip, seed };
}
