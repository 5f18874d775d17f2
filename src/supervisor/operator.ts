import type { EventBody } from "../core/event.ts";
import { formatDuration } from "../core/words.ts";
import type { Book } from "./book.ts";
import { identity } from "./ids.ts";
import { type Entry, endOf, type Member } from "./member.ts";
import { firstEnd, nextStep, TURN, type Wish, type WordBook, wished, without } from "./words.ts";

/** ms after which all are looked at in any case: a revision may bring back a backend with what was said of it. */
const LOOK_ANYWAY = 60_000;

/** What the operator's side needs of the supervisor. */
export interface OperatorDoors {
  /** A backend's state has changed: say it and give everyone the new snapshot. */
  changed(event: EventBody): void;
  /** The entry's snapshot is a new one. */
  spread(entry: Entry): void;
  /** All words of a command are said, or some have ended: who is probed may be others, and the book is another. */
  done(): void;
}

/** What operators say of backends beside the file: by name or by tag, for ever or for a time. */
export class Operator {
  readonly #book: Book;
  readonly #doors: OperatorDoors;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Nothing is to be done before, ms since 1970: of very many backends hardly one has a word, and all are looked at seldom. */
  #quietUntil = 0;

  constructor(book: Book, doors: OperatorDoors) {
    this.#book = book;
    this.#doors = doors;
    this.#timer = setInterval(() => this.turn(Date.now()), TURN);
    this.#timer.unref?.();
  }

  /** A word about one backend; its name as `SERVICE/BACKEND`, none when there is no such backend. */
  command(service: string, backend: string, wish: Wish): string[] {
    return this.#say(this.#book.named(service, backend).slice(0, 1), wish, "set by an operator");
  }

  /** A word about all backends with a tag, of one service or (null) of all; their names. */
  commandTag(tag: string, service: string | null, wish: Wish): string[] {
    return this.#say(this.#book.tagged(tag, service), wish, `set by an operator for the tag ${tag}`);
  }

  #say(meant: readonly [Entry, Member][], wish: Wish, who: string): string[] {
    const detail = wish.for === undefined ? who : `${who}, for ${formatDuration(wish.for)}`;
    const now = Date.now();
    this.#quietUntil = Math.min(this.#quietUntil, now);
    for (const [entry, member] of meant) this.#set(entry, member, wished(member.words, wish, now), detail);
    if (meant.length > 0) this.#doors.done();
    return meant.map(([entry, member]) => `${entry.service.name}/${member.name}`);
  }

  #set(entry: Entry, member: Member, words: Member["words"], detail: string): void {
    const before = entry.snapshot;
    const event = this.#book.say(entry, member, words, detail);
    if (event) this.#doors.changed(event);
    else if (entry.snapshot !== before) this.#doors.spread(entry);
  }

  /** Ends the words whose time is over; then what the file says holds. Tells of ends that are near. `now`: ms since 1970. */
  turn(now: number): void {
    if (now < this.#quietUntil || this.#book.entries.size === 0) return;
    this.#quietUntil = now + LOOK_ANYWAY;
    let ended = false;
    for (const entry of this.#book.entries.values())
      for (const member of entry.members) {
        const { admin, weight } = member.words;
        if (admin === undefined && weight === undefined) continue;
        if (firstEnd(member.words) <= now) {
          ended = true;
          this.#set(entry, member, without(member.words, now), "the time of an operator's word is over");
        }
      }
    for (const entry of this.#book.entries.values()) {
      const end = endOf(entry.members);
      if (this.#book.foresee(entry, now)) this.#doors.spread(entry);
      if (end !== Number.POSITIVE_INFINITY) this.#quietUntil = Math.min(this.#quietUntil, nextStep(end, now));
    }
    if (ended) this.#doors.done();
  }

  /** All words, for the next daemon. */
  get said(): WordBook {
    const said: WordBook = {};
    for (const [name, { members }] of this.#book.entries)
      for (const { words, config } of members) {
        if (words.admin === undefined && words.weight === undefined) continue;
        said[name] ??= {};
        said[name][identity(config)] = { ...words, written: { admin: config.admin, weight: config.weight } };
      }
    return said;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
