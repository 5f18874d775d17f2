/** An extended error (RFC 8914 2): its code, and words beside it. */
export interface Explanation {
  code: number;
  text: Uint8Array;
}

const explanation = (code: number, text = ""): Explanation => ({ code, text: new TextEncoder().encode(text) });

/** What can be said of an answer that is none (RFC 8914 5.2; 30: RFC 9824 9). */
export const explanations = {
  notAuthoritative: explanation(20),
  prohibited: explanation(18),
  invalidType: explanation(30),
  tooManySignatures: explanation(0, "too many signatures are asked for now"),
  nobodyEligible: explanation(0, "no backend may get clients now"),
} as const;
