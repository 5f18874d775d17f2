/** How fast a backend answers its checks, learnt. */
export interface Pace {
  /** Smoothed time of answers, ms, as TCP smooths its round-trip time (RFC 6298 2); null: none has come. */
  readonly smooth: number | null;
  /** What all see of it: another value only when it is far from the last one, so that noise makes no snapshots. */
  readonly shown: number | null;
}

export const unknownPace: Pace = { smooth: null, shown: null };

const PART = 1 / 8;
/** So many times more, or less, is worth telling. */
const FAR = 1.25;

/** What one more answer adds. `latency`: ms. */
export function paced({ smooth, shown }: Pace, latency: number): Pace {
  const next = smooth === null ? latency : smooth + (latency - smooth) * PART;
  const far = shown === null || next > shown * FAR || next * FAR < shown;
  return { smooth: next, shown: far ? next : shown };
}
