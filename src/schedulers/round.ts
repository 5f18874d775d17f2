/**
 * One round of turns by weight, for whoever can only walk a list over and over: fills `out` with indices and returns how
 * many. Every index has turns in proportion to its weight (exactly, where the sum of reduced weights fits; at least one
 * each), spread evenly over the round: the k-th of w turns stands at (k + 1/2) / w of it, so that none comes in a burst.
 * At most `out.length` weights.
 */
export function fillRound(weights: readonly number[], out: Uint16Array): number {
  const divisor = weights.reduce(gcd, 0);
  const sum = weights.reduce((total, weight) => total + weight, 0) / divisor;
  const room = out.length - weights.length;
  const turns = weights.map((weight) =>
    sum <= out.length ? weight / divisor : Math.max(1, Math.floor(((weight / divisor) * room) / sum)),
  );
  const places = turns.flatMap((count, index) =>
    Array.from({ length: count }, (_, k) => ({ at: (k + 0.5) / count, index })),
  );
  places.sort((a, b) => a.at - b.at || a.index - b.index);
  places.forEach(({ index }, place) => {
    out[place] = index;
  });
  return places.length;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
