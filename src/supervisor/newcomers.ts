import type { Config, Service } from "../core/service.ts";
import { sleep } from "../runtime/clock.ts";
import type { Book } from "./book.ts";
import { judged } from "./checking.ts";
import type { Entry } from "./member.ts";

/** After the time of the slowest check so much is granted to its verdict's way, ms. */
const VERDICT_GRACE = 250;

/** Waits until the first checks of these services are in, or their time is over. `trusted` as for `judged`. */
export async function firstVerdicts(awaited: readonly Entry[], trusted: boolean): Promise<void> {
  const timeouts = awaited.flatMap(({ service: { check, agent } }) => [check?.timeout ?? 0, agent?.timeout ?? 0]);
  const slowest = Math.max(0, ...timeouts);
  // Who has had a verdict keeps it: the next look begins where the last one stopped.
  let first = 0;
  for (const end = performance.now() + slowest + VERDICT_GRACE; performance.now() < end; await sleep(20)) {
    while (first < awaited.length && judged(awaited[first]!, trusted)) first++;
    if (first === awaited.length) return;
  }
}

/** Whom a reload adds: services are probed before they are served, backends of running ones while others serve on. */
export class Newcomers {
  readonly #book: Book;
  readonly #assignChecks: () => void;
  #names: ReadonlySet<string> = new Set();

  /** `assignChecks`: has those probed who stand in the book. */
  constructor(book: Book, assignChecks: () => void) {
    this.#book = book;
    this.#assignChecks = assignChecks;
  }

  /** Is this service probed, and not served yet? */
  has(service: string): boolean {
    return this.#names.has(service);
  }

  /** Resolves when the first verdicts of those that `config` adds are in; `probed`: who is probed from the host's own network. */
  async probe(
    config: Config,
    revision: number,
    probed: (service: Service) => boolean,
    trusted: boolean,
  ): Promise<void> {
    const added = config.services.filter((service) => !this.#book.entry(service.name) && probed(service));
    if (added.length === 0) return;
    this.#names = new Set(added.map(({ name }) => name));
    this.#keep(config, revision, [...this.#served(), ...added]);
    await firstVerdicts(
      added.map(({ name }) => this.#book.entry(name)!),
      trusted,
    );
  }

  /** They are served from now on. */
  accept(): void {
    this.#names = new Set();
  }

  /**
   * Running services of whose backends none could get work before its first check are still served by those that had it:
   * resolves when the first verdicts are in, with the services that have only their own backends since.
   */
  async succeed(trusted: boolean): Promise<Entry[]> {
    const awaited = [...this.#book.entries.values()].filter(({ members }) => members.some(({ leaving }) => leaving));
    if (awaited.length > 0) await firstVerdicts(awaited, trusted);
    return this.#book.dismiss();
  }

  /** The revision was refused: nobody is probed who is not served. */
  refuse(config: Config, revision: number): void {
    if (this.#names.size === 0) return;
    this.#keep(config, revision, this.#served());
    this.#names = new Set();
  }

  #served(): Service[] {
    return [...this.#book.entries.values()].map(({ service }) => service).filter(({ name }) => !this.has(name));
  }

  #keep(config: Config, revision: number, services: Service[]): void {
    this.#book.commit(this.#book.stage({ ...config, services }, revision));
    this.#assignChecks();
  }
}
