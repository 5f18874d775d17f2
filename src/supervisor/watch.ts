import type { Tally } from "../checks/ejection.ts";
import { healthRulesOf } from "../checks/health-rules.ts";
import type { EventBody } from "../core/event.ts";
import type { Book } from "./book.ts";
import type { Entry, Member } from "./member.ts";
import { inPanic, serves } from "./passive.ts";

/** How often counts are looked at without a failure being told, ms: ejections end, windows close, weights grow. */
const TURN = 1000;
/** How often what backends report of themselves makes a new snapshot, ms: of very many, many come together. */
const REPORTS = 250;

/** What the watch needs of the supervisor. */
export interface WatchDoors {
  /** What requests tell of a backend, over all workers. */
  tally(entry: Entry, member: Member): Tally;
  /** A backend's state has changed: say it and give everyone the new snapshot. */
  changed(event: EventBody): void;
  /** The entry's snapshot is a new one. */
  spread(entry: Entry): void;
  record(event: EventBody): void;
}

/** Watches the backends of services whose health rules ask for it, by the counts of their requests. */
export class Watch {
  readonly #book: Book;
  readonly #doors: WatchDoors;
  readonly #timers: ReturnType<typeof setInterval>[];
  readonly #panicking = new Set<string>();

  constructor(book: Book, doors: WatchDoors) {
    this.#book = book;
    this.#doors = doors;
    this.#timers = [setInterval(() => this.turn(Date.now()), TURN), setInterval(() => this.#report(), REPORTS)];
    for (const timer of this.#timers) timer.unref?.();
  }

  /** A worker says that a request failed at this backend. */
  failed(service: string, backend: number): void {
    const entry = this.#book.entry(service);
    const member = entry?.members.find(({ id }) => id === backend);
    if (entry && member) this.#judge(entry, member, Date.now());
  }

  /** `now`: ms since 1970. */
  turn(now: number): void {
    for (const entry of this.#book.entries.values()) {
      const rules = healthRulesOf(entry.service);
      if (rules.ejection !== false) {
        for (const member of entry.members) this.#judge(entry, member, now);
        for (const event of this.#book.judgePaces(entry, now)) this.#doors.changed(event);
      }
      if (rules.slowStart > 0 && this.#book.warm(entry, now)) this.#doors.spread(entry);
      if (rules.panic > 0 || this.#panicking.has(entry.service.name)) this.#panic(entry);
    }
  }

  #report(): void {
    for (const entry of this.#book.takeReports()) this.#doors.spread(entry);
  }

  #judge(entry: Entry, member: Member, now: number): void {
    const event = this.#book.judge(entry, member, this.#doors.tally(entry, member), now);
    if (event) this.#doors.changed(event);
  }

  #panic({ snapshot, service: { name } }: Entry): void {
    const on = inPanic(snapshot);
    if (on === this.#panicking.has(name)) return;
    if (on) this.#panicking.add(name);
    else this.#panicking.delete(name);
    const healthy = snapshot.backends.filter(({ state }) => serves(state)).length;
    this.#doors.record({ kind: "panic", service: name, on, healthy, of: snapshot.backends.length });
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}
