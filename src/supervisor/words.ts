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

/** When the first of some words ends; Infinity: none does. */
export const firstEnd = ({ admin, weight }: Words): number =>
  Math.min(...[admin, weight].map((word) => word?.until ?? Number.POSITIVE_INFINITY));
