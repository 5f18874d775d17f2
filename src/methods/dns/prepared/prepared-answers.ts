import { CLASSIC_SIZE, Flag, HEADER, Rcode, Type } from "../../../protocols/dns/numbers.ts";
import type { Transport } from "../../../protocols/dns/respond.ts";
import type { Slot } from "../../../runtime/datagram-ring.ts";
import type { ServiceAnswers } from "../service-answers.ts";
import type { Site } from "../site.ts";
import { type Tally, ZONE } from "../tally.ts";
import { Arena } from "./arena.ts";
import { Deck, Decks, State } from "./decks.ts";
import { OPT, PlainQuery } from "./plain-query.ts";
import { Entry, QuestionTable } from "./question-table.ts";

/** Words of a fixed answer before its body. */
const Fixed = {
  LENGTH: 0,
  /** AA and the rcode. */ FLAGS: 1,
  /** Answers, authority; additional without OPT. */ COUNTS: 2,
  ADDITIONAL: 3,
  /** Who counts it: 0: the zone, else 1 + the service's number. */ OWNER: 4,
  BODY: 5,
};

/** In an entry's deck: the zone is signed, and questions with DO are not answered here. */
const SIGNED = 1 << 30;

/** What is asked for although it is not there; other negative answers are not kept, for there are 65,000 types. */
const ASKED_ANYWAY: readonly number[] = [Type.A, Type.AAAA, Type.HTTPS];

/** What an answer was made of, for the next one that asks the same. */
export interface Lesson {
  /** Who counts the question; null: the zone. */
  service: ServiceAnswers | null;
  /** Are the addresses of the service what is asked for? */
  addresses: boolean;
  /** Is the zone signed? */
  signed: boolean;
}

/**
 * Answers that were given before, whole but for what is drawn for each query: addresses stand in the order of their deck. Holds
 * nothing that hangs on the client or on time, only questions whose name exists and is no wildcard's, and what the answerer has
 * answered: everything is forgotten when the site says something else, a service's addresses when it does.
 */
export class PreparedAnswers {
  private readonly site: Site;
  private readonly subnets: boolean;
  private readonly tally: Tally;
  private readonly arena = new Arena();
  private readonly table = new QuestionTable(this.arena);
  private readonly decks: Decks;
  private readonly query = new PlainQuery();
  private readonly services: ServiceAnswers[] = [];
  private readonly numbers = new Map<ServiceAnswers, number>();
  private version = -1;
  /** What `find` has found: the deck to be dealt from, the fixed answer; 0: none. */
  private deck = 0;
  private fixed = 0;
  /** Is the question of the last `find` one that `learn` takes? */
  learns = false;

  /** `later`: calls back in a moment. */
  constructor(site: Site, subnets: boolean, tally: Tally, later: (call: () => void) => void) {
    this.site = site;
    this.subnets = subnets;
    this.tally = tally;
    this.decks = new Decks(this.arena, later);
  }

  /** Brings the services' counts up to date. */
  tell(): void {
    this.decks.tell();
  }

  /** Is there an answer to the message in the first `length` octets of a slot? `write` writes it. */
  find(slot: Slot, length: number, transport: Transport): boolean {
    const { query, table } = this;
    this.learns = false;
    if (!query.read(slot, length, this.subnets)) return false;
    if (this.version !== this.site.version) this.clear();
    const entry = table.find(slot.memory.words, (slot.at + HEADER) >> 2, query.nameLength, query.type);
    this.learns = entry === 0;
    if (entry === 0) return false;
    const set = this.arena.words[entry + Entry.SET]!;
    if (query.dnssecOk && (set & SIGNED) !== 0) return false;
    return this.choose(entry, set & ~SIGNED) && this.fits(slot, transport);
  }

  /** Finds what stands in the answer: of the addresses of a deck, or fixed. */
  private choose(entry: number, deck: number): boolean {
    const state = deck === 0 ? State.NONE : this.arena.words[deck]! || this.decks.renew(deck);
    this.deck = state === State.DRAWN ? deck : 0;
    this.fixed = state === State.NONE ? this.arena.words[entry + Entry.FIXED]! : 0;
    return this.deck !== 0 || this.fixed !== 0;
  }

  private fits({ at }: Slot, { udpSize }: Transport): boolean {
    const { query, deck, fixed } = this;
    const { words } = this.arena;
    const body = deck === 0 ? words[fixed]! : words[deck + Deck.COUNT]! * words[deck + Deck.RECORD]! * 4;
    const most = Math.max(query.udpSize, CLASSIC_SIZE);
    return query.end - at + body + query.opt <= Math.min(most, udpSize);
  }

  /** Writes the answer that was found over the question, whose octets stay where they are; returns its length. */
  write({ memory: { bytes, view }, at }: Slot, { udpSize }: Transport): number {
    const { query, deck, fixed } = this;
    const { words } = this.arena;
    const additional = query.opt === 0 ? 0 : 1;
    let to = query.end;
    let flags = Flag.QR | (((bytes[at + 2]! << 8) | bytes[at + 3]!) & (Flag.RD | Flag.CD));
    if (deck !== 0) {
      flags |= Flag.AA;
      const count = words[deck + Deck.COUNT]!;
      view.setInt32(at + 6, count << 16);
      this.decks.deal(deck, view, to);
      to += count * words[deck + Deck.RECORD]! * 4;
      view.setInt16(at + 10, additional);
    } else {
      flags |= words[fixed + Fixed.FLAGS]!;
      view.setInt32(at + 6, words[fixed + Fixed.COUNTS]!);
      view.setInt16(at + 10, words[fixed + Fixed.ADDITIONAL]! + additional);
      const length = words[fixed]!;
      // Up to three octets more than there are: what follows is written after them.
      for (let i = 0; i < length; i += 4) view.setInt32(to + i, words[fixed + Fixed.BODY + (i >> 2)]!, true);
      to += length;
      this.count(words[fixed + Fixed.OWNER]!);
    }
    view.setInt16(at + 2, flags);
    if (additional !== 0) {
      view.setInt32(to, Type.OPT << 8);
      view.setInt32(to + 3, udpSize << 16);
      view.setInt32(to + 7, (query.dnssecOk ? 0x80000000 : 0) | (query.opt - OPT));
      for (let i = OPT; i < query.opt; i++) bytes[to + i] = query.subnet[i - OPT]!;
      to += query.opt;
    }
    return to - at;
  }

  private count(number: number): void {
    if (number === 0) this.tally(ZONE);
    else this.services[number - 1]!.counted(-1);
  }

  /** Keeps the answer in the first `length` octets of a slot, which the answerer gave to the message of the last `find`. */
  learn({ service, addresses, signed }: Lesson, { memory: { bytes, view }, at }: Slot, length: number): void {
    const { query } = this;
    const answers = view.getUint16(at + 6);
    const whole = (bytes[at + 2]! & (Flag.TC >> 8)) === 0 && (bytes[at + 3]! & 15) === Rcode.NOERROR;
    if (!whole || (query.dnssecOk && signed)) return;
    if (answers === 0 && !ASKED_ANYWAY.includes(query.type)) return;
    const entry = this.table.add();
    const drawn = addresses && answers > 0;
    const fixed = entry === 0 || drawn ? 0 : this.keep(bytes, at, length);
    const deck = entry === 0 || !addresses ? 0 : this.decks.of(service!, query.type === Type.AAAA);
    // No room: the entry holds nothing, and the answerer answers.
    if (entry === 0 || (fixed === 0 && !drawn)) return;
    const { words } = this.arena;
    words[entry + Entry.SET] = deck | (signed ? SIGNED : 0);
    if (fixed === 0 || (addresses && deck === 0)) return;
    words[entry + Entry.FIXED] = fixed;
    words[fixed + Fixed.OWNER] = service === null ? 0 : this.numberOf(service);
  }

  /** The place of an answer's body, without OPT; 0: there is no room. */
  private keep(bytes: Uint8Array, at: number, length: number): number {
    const { query } = this;
    const word = (from: number): number => (bytes[at + from]! << 8) | bytes[at + from + 1]!;
    const size = at + length - query.opt - query.end;
    const fixed = this.arena.take(Fixed.BODY + ((size + 3) >> 2));
    if (fixed === 0) return 0;
    const { words } = this.arena;
    words[fixed] = size;
    words[fixed + Fixed.FLAGS] = word(2) & (Flag.AA | 15);
    words[fixed + Fixed.COUNTS] = (word(6) << 16) | word(8);
    words[fixed + Fixed.ADDITIONAL] = word(10) - (query.opt === 0 ? 0 : 1);
    this.arena.bytes.set(bytes.subarray(query.end, query.end + size), (fixed + Fixed.BODY) * 4);
    return fixed;
  }

  private numberOf(service: ServiceAnswers): number {
    let number = this.numbers.get(service);
    if (number === undefined) {
      number = this.services.push(service);
      this.numbers.set(service, number);
    }
    return number;
  }

  private clear(): void {
    this.version = this.site.version;
    this.decks.clear();
    this.table.clear();
    this.arena.clear();
  }
}
