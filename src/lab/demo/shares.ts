/** What one backend got of the requests. */
export interface Share {
  backend: string;
  weight: number;
  requests: number;
  /** Parts of the whole, 0..1. */
  expected: number;
  got: number;
}

/** Requests per backend against weights. `replies` holds the backend of each request, null for a lost one. */
export function toShares(replies: readonly (string | null)[], weights: ReadonlyMap<string, number>): Share[] {
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  return [...weights].map(([backend, weight]) => {
    const requests = replies.filter((name) => name === backend).length;
    const got = replies.length > 0 ? requests / replies.length : 0;
    return { backend, weight, requests, expected: weight / total, got };
  });
}

/** The largest distance between expected and got, in percentage points. */
export const shareError = (shares: readonly Share[]): number =>
  Math.max(...shares.map(({ expected, got }) => Math.abs(got - expected))) * 100;

/**
 * How far a share may lie off in percentage points. A hash throws each request like a die: four and a half standard
 * deviations of that, and one point for tables that are not perfectly even.
 */
export const shareLimit = (shares: readonly Share[], requests: number): number =>
  Math.max(...shares.map(({ expected }) => 450 * Math.sqrt((expected * (1 - expected)) / requests))) + 1;
