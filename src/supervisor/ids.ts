import type { BackendConfig } from "../core/service.ts";

/** What is remembered over restarts: which number each backend of a service has, and the last number given. */
export type IdBook = Record<string, { ids: Record<string, number>; last: number }>;

/** Numbers of backends are below it; 0 is a number like any other. */
const NUMBERS = 1 << 14;

/** What makes a backend the same one over revisions. */
export const identity = (backend: Pick<BackendConfig, "address" | "port" | "url">): string =>
  backend.url ? `${backend.address}|${backend.port ?? ""}|${backend.url}` : `${backend.address}|${backend.port ?? ""}`;

/** What is remembered of one service. */
export type ServiceIds = IdBook[string];

/**
 * Numbers for the backends of a service: those that had one keep it; new ones get the next number after the last one
 * given, so that a number comes round again only after 16,384 others, when no flow or slot names it any more.
 * `before` stays as it is (the revision may yet be refused).
 */
export function numbersFor(before: ServiceIds | undefined, backends: readonly BackendConfig[]): ServiceIds {
  const held = before ?? { ids: {}, last: -1 };
  const ids: Record<string, number> = {};
  const taken = new Set(Object.values(held.ids));
  let { last } = held;
  for (const backend of backends) {
    const key = identity(backend);
    const known = held.ids[key];
    if (known !== undefined) {
      ids[key] = known;
      continue;
    }
    do last = (last + 1) % NUMBERS;
    while (taken.has(last));
    taken.add(last);
    ids[key] = last;
  }
  return { ids, last };
}
