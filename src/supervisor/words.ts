import type { AdminState } from "../core/backend.ts";
import type { BackendConfig } from "../core/service.ts";

/** Something an operator has said of a backend. `until`: ms since 1970; null: until the file says something else. */
export interface Word<T> {
  readonly is: T;
  readonly until: number | null;
}

/** All that operators have said of a backend and that still holds. */
export interface Words {
  readonly admin?: Word<AdminState>;
  readonly weight?: Word<number>;
}

/** What an operator asks. `for`: ms; absent: without an end. */
export interface Wish {
  admin?: AdminState;
  weight?: number;
  for?: number;
}

/** What the file said of a backend when an operator contradicted it. */
type Written = Pick<BackendConfig, "admin" | "weight">;

/** Words by service and backend, for the next daemon, each with what the file said. */
export type WordBook = Record<string, Record<string, Words & { written: Written }>>;

/** A word holds while the file says the same as when it was said. */
export const sameWritten = (before: Written, now: Written): boolean =>
  before.admin === now.admin && before.weight === now.weight;

/** What holds after a wish, beside what was said before. `now`: ms since 1970. */
export function wished(before: Words, wish: Wish, now: number): Words {
  const until = wish.for === undefined ? null : now + wish.for;
  return {
    ...before,
    ...(wish.admin === undefined ? {} : { admin: { is: wish.admin, until } }),
    ...(wish.weight === undefined ? {} : { weight: { is: wish.weight, until } }),
  };
}

const holds = (word: Word<unknown> | undefined, now: number): boolean =>
  word !== undefined && (word.until === null || word.until > now);

/** What still holds of some words. */
export const without = ({ admin, weight }: Words, now: number): Words => ({
  ...(admin && holds(admin, now) ? { admin } : {}),
  ...(weight && holds(weight, now) ? { weight } : {}),
});

/** What an earlier daemon was told and the file does not contradict. */
export const stillSaid = (said: WordBook[string][string] | undefined, config: Written, now: number): Words =>
  said && sameWritten(said.written, config) ? without(said, now) : {};

/** When the first of some words ends, ms since 1970; Infinity: none does. */
export const firstEnd = ({ admin, weight }: Words): number =>
  Math.min(admin?.until ?? Number.POSITIVE_INFINITY, weight?.until ?? Number.POSITIVE_INFINITY);

/** How often words that end are looked for, ms: what hangs on the time left may be so old. */
export const TURN = 1000;

/** The time left until `end` as it is told, ms: in steps of half of it, so that a word of days makes few snapshots. */
export function told(end: number, now: number): number {
  const left = (end - now - TURN) / 1000;
  return left < 1 ? 0 : 1000 * 2 ** Math.floor(Math.log2(left));
}

/** When less is to be told than at `now`, or the word ends; ms since 1970. */
export function nextStep(end: number, now: number): number {
  const step = told(end, now);
  return step === 0 ? end : end - TURN - step + 1;
}
