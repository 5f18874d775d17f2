/** The words of a configuration, parsed: durations, sizes, addresses. Each returns null for what it does not accept. */

const durationUnits: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `500ms`, `2s`, `1.5m`, `1h` to ms; null for anything else. */
export function parseDuration(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  if (!match) return null;
  const value = Number(match[1]) * durationUnits[match[2]!]!;
  return Number.isFinite(value) && value <= 2 ** 40 ? Math.round(value) : null;
}

const sizeUnits: Record<string, number> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** `64KiB`, `1MiB`, `512B` to bytes; null for anything else. */
export function parseSize(text: string): number | null {
  const match = /^(\d+)(B|KiB|MiB|GiB)$/.exec(text);
  if (!match) return null;
  const value = Number(match[1]) * sizeUnits[match[2]!]!;
  return Number.isSafeInteger(value) ? value : null;
}

/** ms to the shortest duration word that parses back to the same. */
export function formatDuration(ms: number): string {
  for (const [unit, size] of [
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
  ] as const) {
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

/** The word of `words` closest to `word` by edit distance, when it is close enough to be meant. */
export function closestWord(word: string, words: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 2)) + 0.5;
  for (const candidate of words) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = a[i - 1] === b[j - 1] ? 0 : 1;
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + swap);
    }
    row = next;
  }
  return row[b.length]!;
}
