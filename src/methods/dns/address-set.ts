import { addressRecord } from "../../protocols/dns/rdata.ts";
import type { Target } from "./compile.ts";

/** Most answers drawn ahead, and most octets they may take. */
const MOST_CARDS = 16;
const MOST_DECK = 16 * 1024;

/**
 * The addresses of one kind (A or AAAA) of a service: whole records, prebuilt, written in the order that is asked for.
 * The same address behind two backends is one record (RFC 2181 5: no duplicates).
 */
export class AddressSet {
  /** Records in the answer: distinct addresses, at most what the service allows. */
  readonly count: number;
  private readonly size: number;
  private readonly records: Uint8Array;
  /** Backend id to record number, -1 for ids of no concern. */
  private readonly place: Int32Array;
  /** Backend id per record: the first that has the address. */
  private readonly ids: Uint16Array;
  /** Which answer last wrote each record. */
  private readonly written: Uint32Array;
  private answer = 0;
  /** Answers drawn ahead, one body after the other, and the first backend of each. */
  private deck = new Uint8Array(0);
  private firsts = new Int32Array(0);
  private nextCard = 0;
  private cursor = 0;
  /** The backend in the first place of the last answer, -1 when there was none. */
  first = -1;

  constructor(targets: readonly Target[], ttl: number, most: number, cursor = 0) {
    const unique = new Map<string, number>();
    const distinct = targets.filter((t) => !unique.has(t.address) && unique.set(t.address, unique.size));
    const records = distinct.map((t) => addressRecord(t.address, ttl));
    this.size = records[0]?.length ?? 0;
    this.records = new Uint8Array(this.size * records.length);
    for (const [i, record] of records.entries()) this.records.set(record, i * this.size);
    this.ids = Uint16Array.from(distinct, (t) => t.id);
    this.place = new Int32Array(targets.reduce((most, t) => Math.max(most, t.id), -1) + 1).fill(-1);
    for (const t of targets) this.place[t.id] = unique.get(t.address)!;
    this.written = new Uint32Array(records.length);
    this.count = Math.min(records.length, most);
    this.cursor = cursor;
  }

  /** Do they all fit a body of `limit` octets? */
  fits(limit: number): boolean {
    return this.count * this.size <= limit;
  }

  /** Writes the records in the order of `order` (backend ids) at `at`; returns how many. */
  writeOrdered(out: Uint8Array, at: number, order: readonly number[]): number {
    const answer = ++this.answer;
    let count = 0;
    this.first = -1;
    for (let i = 0; i < order.length && count < this.count; i++) {
      const id = order[i]!;
      const record = id < this.place.length ? this.place[id]! : -1;
      if (record < 0 || this.written[record] === answer) continue;
      this.written[record] = answer;
      if (count === 0) this.first = id;
      this.copy(out, at + count * this.size, record);
      count++;
    }
    return count;
  }

  /** Writes the records in their own order, each answer beginning one further; returns how many. */
  writeRotated(out: Uint8Array, at: number): number {
    const all = this.ids.length;
    const start = this.cursor++ % all;
    this.first = this.ids[start]!;
    for (let i = 0; i < this.count; i++) this.copy(out, at + i * this.size, (start + i) % all);
    return this.count;
  }

  /**
   * Writes the next answer that was drawn ahead. A scheduler that hangs on nothing but its own turns gives the same
   * orders whether they are drawn one by one or sixteen at once; but drawn together they find its memory in the cache,
   * and a query touches one piece of memory instead of forty. A name that is asked for seldom draws few.
   */
  deal(out: Uint8Array, at: number, draw: () => readonly number[]): number {
    if (this.nextCard === this.firsts.length) this.refill(draw);
    const card = this.nextCard++;
    this.first = this.firsts[card]!;
    const length = this.count * this.size;
    const { deck } = this;
    const from = card * length;
    for (let i = 0; i < length; i++) out[at + i] = deck[from + i]!;
    return this.count;
  }

  private refill(draw: () => readonly number[]): void {
    const cards = this.firsts.length;
    const length = this.count * this.size;
    const most = Math.max(1, Math.min(MOST_CARDS, Math.floor(MOST_DECK / length)));
    if (cards < most) {
      this.firsts = new Int32Array(Math.min(most, Math.max(1, cards * 2)));
      this.deck = new Uint8Array(this.firsts.length * length);
    }
    for (let card = 0; card < this.firsts.length; card++) {
      const at = card * length;
      if (this.writeOrdered(this.deck, at, draw()) !== this.count) this.writeRotated(this.deck, at);
      this.firsts[card] = this.first;
    }
    this.nextCard = 0;
  }

  end(at: number, count: number): number {
    return at + count * this.size;
  }

  get turns(): number {
    return this.cursor;
  }

  private copy(out: Uint8Array, at: number, record: number): void {
    const { size, records } = this;
    const from = record * size;
    for (let i = 0; i < size; i++) out[at + i] = records[from + i]!;
  }
}
