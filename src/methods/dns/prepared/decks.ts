import type { AddressSet } from "../address-set.ts";
import type { ServiceAnswers } from "../service-answers.ts";
import type { Arena } from "./arena.ts";

/** Most orders drawn ahead, and most octets they may take. */
const MOST_CARDS = 16;
const MOST_DECK = 1024;
/** A card names records by one octet each. */
const MOST_DEALT = 255;
/** Of the decks that wait to be counted so many are at a time, and this part of them if that is more: in a second all are. */
const TOLD_AT_ONCE = 64;
const TOLD_PART = 20;

/** Words of a deck, a line of the cache. A card is `COUNT` record numbers. */
export const Deck = {
  STATE: 0,
  /** Records in an answer, and words of one record. */
  COUNT: 1,
  RECORD: 2,
  /** The card that is dealt next, how many there are, and how many were dealt that have not been counted yet. */
  NEXT: 3,
  CARDS: 4,
  UNTOLD: 5,
  /** Octet of the arena where the cards begin. */
  FIRST_CARD: 6,
  /** Whose it is. */
  OWNER: 7,
  /** Words that records, and cards behind them, may take, and where they are. */
  ROOM: 8,
  RECORDS: 9,
  /** 1: the cards may be dealt again, for those that follow would be the same. */
  ROUND: 10,
  /** 1: it waits to be counted. */
  NOTED: 11,
  /** Few cards stand here, so that a query touches a line less. */
  FEW: 12,
  SIZE: 16,
} as const;
/** Octets of `FEW`. */
const FEW = (Deck.SIZE - Deck.FEW) * 4;

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
 * two or three lines of memory instead of forty. A name that is asked for seldom draws few. Turns that come round, as those of
 * a few backends do, are drawn once and dealt again and again. Counts go to the services' cells soon after (`later`).
 */
export class Decks {
  private readonly arena: Arena;
  private readonly later: (call: () => void) => void;
  private readonly owners: Owner[] = [];
  private readonly places = new Map<ServiceAnswers, { v4: number; v6: number }>();
  /** Decks with cards that have not been counted, from `told` on. */
  private untold: number[] = [];
  private told = 0;
  private telling = false;

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
    if (words[deck + Deck.NEXT] === words[deck + Deck.CARDS]) this.begin(deck);
    if (words[deck + Deck.NOTED] === 0) this.note(deck);
    const card = words[deck + Deck.NEXT]!;
    words[deck + Deck.NEXT] = card + 1;
    words[deck + Deck.UNTOLD]!++;
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
    this.tellSome(this.untold.length - this.told);
  }

  /** Forgets all decks; the arena is cleared by who owns it. */
  clear(): void {
    this.tell();
    for (const service of this.places.keys()) service.onChange = null;
    this.places.clear();
    this.owners.length = 0;
  }

  private note(deck: number): void {
    if (!this.telling) this.tellLater();
    this.arena.words[deck + Deck.NOTED] = 1;
    this.untold.push(deck);
  }

  /** A deck is far away in memory, as is who it is told to: where thousands are dealt from they wait, and many cards are told at once. */
  private tellLater(): void {
    this.telling = true;
    this.later(() => {
      this.telling = false;
      const waiting = this.untold.length - this.told;
      this.tellSome(Math.min(waiting, Math.max(TOLD_AT_ONCE, Math.ceil(waiting / TOLD_PART))));
      if (this.untold.length > 0) this.tellLater();
    });
  }

  private tellSome(count: number): void {
    const { untold } = this;
    for (const end = this.told + count; this.told < end; this.told++) {
      const deck = untold[this.told]!;
      this.arena.words[deck + Deck.NOTED] = 0;
      this.tellOf(deck);
    }
    if (this.told * 2 < untold.length) return;
    this.untold = untold.slice(this.told);
    this.told = 0;
  }

  private tellOf(deck: number): void {
    const { words, bytes } = this.arena;
    const untold = words[deck + Deck.UNTOLD]!;
    if (untold === 0) return;
    words[deck + Deck.UNTOLD] = 0;
    const { service, ids } = this.owners[words[deck + Deck.OWNER]!]!;
    const count = words[deck + Deck.COUNT]!;
    const cards = words[deck + Deck.CARDS]!;
    const first = words[deck + Deck.FIRST_CARD]!;
    const last = words[deck + Deck.NEXT]! - 1;
    // The last of them is `last`; those before it, round by round.
    for (let back = 0; back < cards && back < untold; back++) {
      const card = last >= back ? last - back : last - back + cards;
      service.counted(ids[bytes[first + card * count]!]!, Math.ceil((untold - back) / cards));
    }
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
    const needed = records.length / 4 + Math.ceil((mostCards(count) * count) / 4);
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
    words[deck + Deck.NEXT] = words[deck + Deck.CARDS] = words[deck + Deck.ROUND] = 0;
    return true;
  }

  /** The cards are through: from the first on again, or others. */
  private begin(deck: number): void {
    const { words } = this.arena;
    if (words[deck + Deck.ROUND] === 0) {
      this.tellOf(deck);
      this.draw(deck);
    }
    words[deck + Deck.NEXT] = 0;
  }

  /** Draws twice as many cards as last time; fewer when they come round. */
  private draw(deck: number): void {
    const { words, bytes } = this.arena;
    const { service, v6 } = this.owners[words[deck + Deck.OWNER]!]!;
    const set = v6 ? service.v6 : service.v4;
    const count = words[deck + Deck.COUNT]!;
    const most = Math.min(mostCards(count), Math.max(1, words[deck + Deck.CARDS]! * 2));
    const first = most * count <= FEW ? (deck + Deck.FEW) * 4 : words[deck + Deck.RECORDS]! * 4 + set.records.length;
    let cards = 0;
    let round = false;
    service.mark(v6);
    while (cards < most && !round) {
      const ordered = set.pick(service.order(v6, 0), bytes, first + cards * count);
      cards++;
      round = ordered && service.returned(v6);
    }
    words[deck + Deck.FIRST_CARD] = first;
    words[deck + Deck.CARDS] = cards;
    words[deck + Deck.ROUND] = round ? 1 : 0;
  }
}

const mostCards = (count: number): number => Math.max(1, Math.min(MOST_CARDS, Math.floor(MOST_DECK / count)));
