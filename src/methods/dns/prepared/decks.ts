import type { AddressSet } from "../address-set.ts";
import type { ServiceAnswers } from "../service-answers.ts";
import type { Arena } from "./arena.ts";

/** Most orders drawn ahead, and most octets they may take. */
const MOST_CARDS = 16;
const MOST_DECK = 1024;
/** A card names records by one octet each. */
const MOST_DEALT = 255;

/** Words of a deck before its records; the cards, `COUNT` record numbers each, stand behind those. */
export const Deck = {
  STATE: 0,
  /** Records in an answer, and words of one record. */
  COUNT: 1,
  RECORD: 2,
  /** The card that is dealt next, how many there are, and the first that has not been counted yet. */
  NEXT: 3,
  CARDS: 4,
  TOLD: 5,
  /** Octet of the arena where the cards begin. */
  FIRST_CARD: 6,
  /** Whose it is. */
  OWNER: 7,
  /** Words that records and cards may take, and where they are. */
  ROOM: 8,
  RECORDS: 9,
  SIZE: 10,
} as const;

/** A deck is `OLD` until it is asked for after a change; `DRAWN`: deal; `NONE`: there are no addresses; else the answerer answers. */
export const State = { OLD: 0, DRAWN: 1, NONE: 2, ANSWERER: 3 } as const;

interface Owner {
  service: ServiceAnswers;
  v6: boolean;
  /** Backend of each record. */
  ids: Int32Array;
}

/**
 * The orders of addresses, drawn ahead. A scheduler that hangs on nothing but its own turns gives the same orders whether
 * they are drawn one by one or sixteen at once; but drawn together they find its memory in the cache, and a query touches
 * three lines of memory instead of forty. A name that is asked for seldom draws few. Counts go to the services' cells when a
 * deck is through, and soon after (`later`) for the rest.
 */
export class Decks {
  private readonly arena: Arena;
  private readonly later: (call: () => void) => void;
  private readonly owners: Owner[] = [];
  private readonly places = new Map<ServiceAnswers, { v4: number; v6: number }>();
  /** Decks with cards that have not been counted. */
  private untold: number[] = [];

  /** `later` calls back in a moment. */
  constructor(arena: Arena, later: (call: () => void) => void) {
    this.arena = arena;
    this.later = later;
  }

  /** The place of a service's deck, made when it is not there yet; 0: there is no room. */
  of(service: ServiceAnswers, v6: boolean): number {
    let places = this.places.get(service);
    if (places === undefined) {
      places = { v4: 0, v6: 0 };
      this.places.set(service, places);
      service.onChange = () => this.changed(service);
    }
    const known = v6 ? places.v6 : places.v4;
    if (known !== 0) return known;
    const deck = this.arena.take(Deck.SIZE);
    if (deck === 0) return 0;
    this.arena.words[deck + Deck.OWNER] = this.owners.length;
    this.owners.push({ service, v6, ids: new Int32Array(0) });
    if (v6) places.v6 = deck;
    else places.v4 = deck;
    return deck;
  }

  /** Makes an `OLD` deck anew; returns its state. */
  renew(deck: number): number {
    const owner = this.owners[this.arena.words[deck + Deck.OWNER]!]!;
    const { service, v6 } = owner;
    service.refresh();
    const set = v6 ? service.v6 : service.v4;
    let state: number = State.ANSWERER;
    if (set.count === 0) state = service.rule === "servfail" ? State.ANSWERER : State.NONE;
    else if (service.rule === "steered" && service.ahead && set.single && this.lay(deck, set)) state = State.DRAWN;
    owner.ids = set.ids;
    this.arena.words[deck] = state;
    return state;
  }

  /** Writes the records of a deck's next card at octet `at`; it must be `DRAWN`. */
  deal(deck: number, out: DataView, at: number): void {
    const { words } = this.arena;
    const next = words[deck + Deck.NEXT]!;
    if (next === words[deck + Deck.CARDS]) this.refill(deck);
    const card = words[deck + Deck.NEXT]!;
    if (card === words[deck + Deck.TOLD]) this.note(deck);
    words[deck + Deck.NEXT] = card + 1;
    const count = words[deck + Deck.COUNT]!;
    const size = words[deck + Deck.RECORD]!;
    const records = words[deck + Deck.RECORDS]!;
    const from = words[deck + Deck.FIRST_CARD]! + card * count;
    const { bytes } = this.arena;
    for (let i = 0; i < count; i++) {
      const record = records + bytes[from + i]! * size;
      for (let k = 0; k < size; k++, at += 4) out.setInt32(at, words[record + k]!, true);
    }
  }

  /** Counts what was dealt. */
  tell(): void {
    const decks = this.untold;
    this.untold = [];
    for (const deck of decks) this.tellOf(deck);
  }

  /** Forgets all decks; the arena is cleared by who owns it. */
  clear(): void {
    this.tell();
    for (const service of this.places.keys()) service.onChange = null;
    this.places.clear();
    this.owners.length = 0;
  }

  private note(deck: number): void {
    if (this.untold.length === 0) this.later(() => this.tell());
    this.untold.push(deck);
  }

  private tellOf(deck: number): void {
    const { words, bytes } = this.arena;
    const { service, ids } = this.owners[words[deck + Deck.OWNER]!]!;
    const count = words[deck + Deck.COUNT]!;
    const next = words[deck + Deck.NEXT]!;
    const first = words[deck + Deck.FIRST_CARD]!;
    for (let card = words[deck + Deck.TOLD]!; card < next; card++) service.counted(ids[bytes[first + card * count]!]!);
    words[deck + Deck.TOLD] = next;
  }

  private changed(service: ServiceAnswers): void {
    const { words } = this.arena;
    const places = this.places.get(service)!;
    for (const deck of [places.v4, places.v6]) {
      if (deck === 0 || words[deck] === State.OLD) continue;
      if (words[deck] === State.DRAWN) this.tellOf(deck);
      words[deck] = State.OLD;
    }
  }

  /** Puts the records in their place, before the first card; false: there is no room. */
  private lay(deck: number, { records, count, size, ids }: AddressSet): boolean {
    const cards = Math.max(1, Math.min(MOST_CARDS, Math.floor(MOST_DECK / count)));
    const recordWords = records.length / 4;
    const needed = recordWords + Math.ceil((cards * count) / 4);
    if (ids.length > MOST_DEALT) return false;
    if (this.arena.words[deck + Deck.ROOM]! < needed) {
      // What is left behind is never used again: twice as much each time keeps that below what is used.
      const room = Math.max(needed, 2 * this.arena.words[deck + Deck.ROOM]!);
      const place = this.arena.take(room);
      if (place === 0) return false;
      this.arena.words[deck + Deck.ROOM] = room;
      this.arena.words[deck + Deck.RECORDS] = place;
    }
    const { words, bytes } = this.arena;
    const at = words[deck + Deck.RECORDS]!;
    bytes.set(records, at * 4);
    words[deck + Deck.COUNT] = count;
    words[deck + Deck.RECORD] = size / 4;
    words[deck + Deck.FIRST_CARD] = (at + recordWords) * 4;
    words[deck + Deck.NEXT] = words[deck + Deck.CARDS] = words[deck + Deck.TOLD] = 0;
    return true;
  }

  private refill(deck: number): void {
    this.tellOf(deck);
    const { words, bytes } = this.arena;
    const { service, v6 } = this.owners[words[deck + Deck.OWNER]!]!;
    const set = v6 ? service.v6 : service.v4;
    const count = words[deck + Deck.COUNT]!;
    const most = Math.min(MOST_CARDS, Math.max(1, Math.floor(MOST_DECK / count)));
    const cards = Math.min(most, Math.max(1, words[deck + Deck.CARDS]! * 2));
    const first = words[deck + Deck.FIRST_CARD]!;
    for (let card = 0; card < cards; card++) set.pick(service.order(v6, 0), bytes, first + card * count);
    words[deck + Deck.NEXT] = words[deck + Deck.TOLD] = 0;
    words[deck + Deck.CARDS] = cards;
  }
}
