/** Signatures begin to hold this much before they are made: clocks differ. Seconds. */
export const SKEW = 3600;
/** Signatures are made anew when this part of their life is left: a quarter. */
export const RENEWAL = 4;
