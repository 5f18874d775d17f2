import { type Counted, MostWanted } from "../core/most-wanted.ts";

/** Names that are held for a service, from the reports of all workers. */
const ROOM = 10_000;

/** What clients have asked for most, by service, since this daemon began to count. */
export class Wanted {
  readonly #services = new Map<string, { since: number; names: MostWanted }>();

  /** A worker's report. */
  add(service: string, counted: readonly Counted[]): void {
    const held = this.#services.get(service) ?? { since: Date.now(), names: new MostWanted(ROOM) };
    this.#services.set(service, held);
    for (const { name, count, over } of counted) held.names.add(name, count, over);
  }

  /** Null: nothing of that service has been reported. */
  top(service: string, most: number): { since: string; files: Counted[] } | null {
    const held = this.#services.get(service);
    return held ? { since: new Date(held.since).toISOString(), files: held.names.top(most) } : null;
  }
}
