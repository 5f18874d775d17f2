import type { Verdict } from "../core/check.ts";

/** What a backend has said of itself, by its agent or beside its responses. */
export interface Reported {
  /** Percent of its weight that it wants. */
  readonly percent: number;
  /** Most units of work at a time; null: it has named none. */
  readonly limit: number | null;
  /** 0..1, to a hundredth: finer changes are not worth a snapshot. Null: it has named none, or nothing for too long. */
  readonly load: number | null;
  /** Times in a row that its agent was asked in vain. */
  readonly unanswered: number;
  /** The agent's last answer, or why there was none. */
  readonly last: { readonly verdict: Verdict; readonly at: number } | null;
}

/** A backend that has said nothing. */
export const silent: Reported = { percent: 100, limit: null, load: null, unanswered: 0, last: null };

/**
 * So many times in a row an agent may be asked in vain until its load is forgotten: a load is a measurement and grows old,
 * where weights, limits and states are words, which stand until they are taken back.
 */
const LOAD_OUTLIVES = 2;

/** What an answer of the agent adds; without one, what it said before still stands, its load for a while. */
export function heard(before: Reported, verdict: Verdict, at: number): Reported {
  const { percent = before.percent, limit = before.limit, load = before.load } = verdict.said ?? {};
  const unanswered = verdict.said ? 0 : before.unanswered + 1;
  return {
    percent,
    limit: limit === 0 ? null : limit,
    load: load === null || unanswered > LOAD_OUTLIVES ? null : hundredth(load),
    unanswered,
    last: { verdict, at },
  };
}

export const hundredth = (load: number): number => Math.round(load * 100) / 100;

/** Does it ask for other work than before? */
export const asksOther = (before: Reported, after: Reported): boolean =>
  before.percent !== after.percent || before.limit !== after.limit || before.load !== after.load;
