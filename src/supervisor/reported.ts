import type { Verdict } from "../core/check.ts";

/** What a backend has said of itself, by its agent or beside its responses. */
export interface Reported {
  /** Percent of its weight that it wants. */
  readonly percent: number;
  /** Most units of work at a time; null: it has named none. */
  readonly limit: number | null;
  /** 0..1, to a hundredth: finer changes are not worth a snapshot. Null: it has named none. */
  readonly load: number | null;
  /** The agent's last answer, or why there was none. */
  readonly last: { readonly verdict: Verdict; readonly at: number } | null;
}

/** A backend that has said nothing. */
export const silent: Reported = { percent: 100, limit: null, load: null, last: null };

/** What an answer of the agent adds; without one, what it said before still stands. */
export function heard(before: Reported, verdict: Verdict, at: number): Reported {
  const { percent = before.percent, limit = before.limit, load = before.load } = verdict.said ?? {};
  return {
    percent,
    limit: limit === 0 ? null : limit,
    load: load === null ? null : hundredth(load),
    last: { verdict, at },
  };
}

export const hundredth = (load: number): number => Math.round(load * 100) / 100;

/** Does it ask for other work than before? */
export const asksOther = (before: Reported, after: Reported): boolean =>
  before.percent !== after.percent || before.limit !== after.limit || before.load !== after.load;
