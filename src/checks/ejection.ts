import type { EjectionRules } from "./health-rules.ts";

/** What requests tell of a backend so far, over all workers. */
export interface Tally {
  /** Requests that a backend answered, ever. */
  readonly successes: number;
  /** Requests that it failed, ever. */
  readonly failures: number;
  /** Time until its responses began, in sum; s. */
  readonly waited: number;
}

/** What is remembered of a backend's failures. Pure data; ms of one clock. */
export interface Record {
  readonly last: Tally;
  /** Failures since the last success. */
  readonly inARow: number;
  readonly window: { readonly since: number; readonly at: Tally };
  /** How long its responses took to begin in the last window, ms; null: too few, or judged already. */
  readonly pace: { readonly mean: number; readonly quiet: boolean } | null;
  /** Ejections whose weight is still felt: each doubles the next one's time; a quiet window takes one away. */
  readonly times: number;
  /** When the ejection ends that it has not been readmitted from; null: none. */
  readonly until: number | null;
}

/** What came of a look at the tally. */
export interface Look {
  record: Record;
  /** Why it should be ejected now; null when it should not. */
  why: string | null;
}

/** A backend of which nothing is known yet. */
export const freshRecord = (tally: Tally, now: number): Record => ({
  last: tally,
  inARow: 0,
  window: { since: now, at: tally },
  pace: null,
  times: 0,
  until: null,
});

/**
 * A look at the counts of a backend that is not ejected: at each failure that is told, and now and then. Failures in a
 * row count from the last look that saw a success; a look that sees both cannot tell their order and begins anew.
 */
export function look(record: Record, rules: EjectionRules, seen: Tally, now: number): Look {
  // A failed request that is still under way makes the successes one too few for a moment.
  const tally = { ...seen, successes: Math.max(record.last.successes, seen.successes) };
  const succeeded = tally.successes > record.last.successes;
  const failed = Math.max(0, tally.failures - record.last.failures);
  const inARow = succeeded ? (failed === 1 ? 1 : 0) : record.inARow + failed;
  const next = { ...record, last: tally, inARow };
  if (inARow >= rules.failures) return { record: next, why: `${inARow} failures in a row` };
  const age = now - record.window.since;
  // Below 0: the clock was set back.
  if (age >= 0 && age < rules.window) return { record: next, why: null };
  const failures = tally.failures - record.window.at.failures;
  const answered = tally.successes - record.window.at.successes;
  const all = failures + answered;
  const quiet = failures === 0;
  const paced = rules.slow !== false && answered >= rules.volume;
  const mean = (1000 * (tally.waited - record.window.at.waited)) / Math.max(1, answered);
  const turned = { ...next, window: { since: now, at: tally }, pace: paced ? { mean, quiet } : null };
  if (failures > 0 && all >= rules.volume && failures * 100 >= all * rules.percent)
    return { record: turned, why: `${failures} of ${all} requests failed` };
  // Whether it was a good window is then said by its pace.
  return { record: quiet && !paced ? forgetOne(turned) : turned, why: null };
}

const forgetOne = (record: Record): Record => ({ ...record, times: Math.max(0, record.times - 1) });

/** Paces that a median means something of. */
const LEAST_PACES = 3;

/** What is usual in a pool: the median of the paces that have not been judged, ms; null: too few have one. */
export function usualPace(records: readonly Record[]): number | null {
  const means = records.flatMap(({ pace }) => (pace === null ? [] : [pace.mean])).sort((a, b) => a - b);
  return means.length < LEAST_PACES ? null : means[Math.floor((means.length - 1) / 2)]!;
}

/** The end of a window beside those of the others: is it far slower than usual? Its pace is judged then. */
export function judgePace(record: Record, { slow }: EjectionRules, usual: number | null): Look {
  const { pace } = record;
  if (pace === null || slow === false) return { record, why: null };
  const judged = { ...record, pace: null };
  if (usual !== null && pace.mean > Math.max(slow.least, usual * slow.times))
    return { record: judged, why: `${Math.round(pace.mean)} ms to answer where ${Math.round(usual)} ms are usual` };
  return { record: pace.quiet ? forgetOne(judged) : judged, why: null };
}

/** May one more of `members` be ejected, `ejected` being so already? */
export const mayEject = (rules: EjectionRules, ejected: number, members: number): boolean =>
  (ejected + 1) * 100 <= members * rules.share;

/** How long an ejection lasts that follows `times` others, ms. */
export const ejectionTime = (rules: EjectionRules, times: number): number =>
  Math.min(rules.longest, rules.time * 2 ** Math.min(times, 30));

/** Is an ejection until then over? A clock that was set back prolongs none beyond the longest there is. */
export const isOver = (until: number, { longest }: EjectionRules, now: number): boolean =>
  until <= now || until - now > longest;

/** It is ejected from now on. */
export const eject = (record: Record, rules: EjectionRules, now: number): Record => ({
  ...record,
  times: record.times + 1,
  until: now + ejectionTime(rules, record.times),
});

/** The ejection is over: what happened before it counts no more, but for its length. */
export const readmit = (record: Record, tally: Tally, now: number): Record => ({
  ...freshRecord(tally, now),
  times: record.times,
});
