/** Signatures begin to hold this much before they are made: clocks differ. Seconds. */
export const SKEW = 3600;
/** Was something signed so far ahead of `now` that it may not hold yet? Then the clock has been set back since. */
export const isAhead = (signedAt: number, now: number): boolean => now < signedAt - SKEW / 2;
/** Signatures are made anew when this part of their life is left: a quarter. */
export const RENEWAL = 4;
