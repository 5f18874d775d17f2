import { readFileSync } from "node:fs";

/** One GET of a load: a line of `http-load`'s log. Times in ms; `at` since 1970. */
export interface Sent {
  at: number;
  took: number;
  backend: string | null;
  /** Why it was lost; null when it was answered with 200. */
  error: string | null;
}

/** Every GET in these logs, by time. Lines that are not whole are left out. */
export function readLoad(files: readonly string[]): Sent[] {
  return files
    .flatMap((file) => readFileSync(file, "utf8").split("\n"))
    .flatMap((line) => {
      try {
        const { at, took, backend = null, error = null } = JSON.parse(line);
        return [{ at, took, backend, error }];
      } catch {
        return [];
      }
    })
    .sort((a, b) => a.at - b.at);
}

/** What a death cost. Times in ms. */
export interface Losses {
  sent: number;
  lost: number;
  /** Lost although they were over before the death. */
  lostBefore: number;
  /** Lost although sent later than `allowed` after the death. */
  lostLate: number;
  /** How long after the death the last lost GET was sent; null when none was lost. */
  lastLost: number | null;
  /** GETs sent later than `allowed` after the death: what the judgement rests on. */
  sentLate: number;
  /** How often each reason was given. */
  errors: Record<string, number>;
}

/** Judges a load around a death at `death` (ms since 1970); `allowed` ms after it nothing may be lost any more. */
export function countLosses(load: readonly Sent[], death: number, allowed: number): Losses {
  const lost = load.filter(({ error }) => error !== null);
  const late = ({ at }: Sent) => at > death + allowed;
  const errors: Record<string, number> = {};
  for (const { error } of lost) errors[error!] = (errors[error!] ?? 0) + 1;
  return {
    sent: load.length,
    lost: lost.length,
    lostBefore: lost.filter(({ at, took }) => at + took < death).length,
    lostLate: lost.filter(late).length,
    lastLost: lost.length > 0 ? Math.max(0, lost.at(-1)!.at - death) : null,
    sentLate: load.filter(late).length,
    errors,
  };
}
