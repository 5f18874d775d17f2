import type { CheckConfig } from "../core/check.ts";
import { hashText } from "../core/hash.ts";
import type { BackendConfig, Service } from "../core/service.ts";
import { identity } from "./ids.ts";
import type { Entry } from "./member.ts";

/** What checks had found of a service's backends, by identity, and a hash of the check that found it. */
export interface Found {
  check: number;
  alive: string[];
  dead: string[];
}

/** What checks had found, by service. */
export type FoundBook = Record<string, Found>;

/** A check's hash stays with it: every backend asks for it, and every writing down. */
const hashes = new WeakMap<CheckConfig, number>();

function hashOf(check: CheckConfig): number {
  let hash = hashes.get(check);
  if (hash === undefined) {
    hash = hashText(JSON.stringify([check.kind, check.options]), 0);
    hashes.set(check, hash);
  }
  return hash;
}

/** For the next daemon. */
export function foundBy(entries: Iterable<Entry>): FoundBook {
  const book: FoundBook = {};
  for (const { service, members } of entries) {
    if (service.check === null) continue;
    const own = members.filter(({ config }) => config.follows === undefined);
    const which = (alive: boolean): string[] =>
      own.filter(({ health }) => health.alive === alive).map(({ config }) => identity(config));
    book[service.name] = { check: hashOf(service.check), alive: which(true), dead: which(false) };
  }
  return book;
}

/**
 * What holds of a book for a configuration: what the same check found of the same backends, until it is forgotten.
 * `trusted`: also whom it found dead; else those are as good as never seen, and their first verdict decides.
 */
export class LastKnown {
  readonly #book: FoundBook;
  readonly #trusted: boolean;
  readonly #sets = new Map<string, { alive: Set<string>; dead: Set<string> }>();

  constructor(book: FoundBook, trusted: boolean) {
    this.#book = book;
    this.#trusted = trusted;
  }

  /** What an earlier daemon found of a backend; null: nothing that still says anything. */
  of(service: Service, backend: BackendConfig): boolean | null {
    const found = this.#book[service.name];
    if (found === undefined || service.check === null || backend.follows !== undefined) return null;
    if (found.check !== hashOf(service.check)) return null;
    const { alive, dead } = this.#of(service.name, found);
    if (alive.has(identity(backend))) return true;
    return this.#trusted && dead.has(identity(backend)) ? false : null;
  }

  /** This daemon has probed it itself: what was found before is void, also for when it goes and comes again. */
  forget({ name }: Service, backend: BackendConfig): void {
    const found = this.#book[name];
    if (found === undefined) return;
    const { alive, dead } = this.#of(name, found);
    alive.delete(identity(backend));
    dead.delete(identity(backend));
  }

  #of(service: string, found: Found): { alive: Set<string>; dead: Set<string> } {
    const known = this.#sets.get(service) ?? { alive: new Set(found.alive), dead: new Set(found.dead) };
    this.#sets.set(service, known);
    return known;
  }
}
