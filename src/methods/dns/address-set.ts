import { addressRecord } from "../../protocols/dns/rdata.ts";
import type { Target } from "./compile.ts";

/** Most orders drawn ahead, and most octets they may take. */
const MOST_CARDS = 16;
const MOST_DECK = 1024;
/** A card names records by one octet each. */
const MOST_DEALT = 255;

/** Which answer last wrote each record. One for all sets: one question is answered at a time. */
const written = new Uint32Array(1 << 16);
let answer = 0;

/** Where orders come from: backend ids, best first. */
export interface Orders {
  order(v6: boolean, key: number): readonly number[];
}

/**
 * The addresses of one kind (A or AAAA) of a service: whole records, prebuilt, written in the order that is asked for.
 * The same address behind two backends is one record (RFC 2181 5: no duplicates). Records and orders drawn ahead lie
 * side by side in one small block: a query for one of very many names must touch little memory.
 */
export class AddressSet {
  /** Records in the answer: distinct addresses, at most what the service allows. */
  readonly count: number;
  /** Octets of one record: 16 or 28. */
  private readonly size: number;
  /** The records, then the cards: `count` record numbers each. */
  private readonly block: Uint8Array;
  /** Backend id per record: the first that has the address; -1 for an address without one. */
  private readonly ids: Int32Array;
  /** Backend id to record number, -1 for ids of no concern. */
  private readonly place: Int16Array;
  private cards = 0;
  private nextCard = 0;
  /** Most cards; 0 when orders of this set cannot be drawn ahead. */
  private readonly room: number;
  private cursor: number;
  /** The backend in the first place of the last answer, -1 when there was none. */
  first = -1;

  constructor(targets: readonly Target[], ttl: number, most: number, cursor = 0) {
    const unique = new Map<string, number>();
    const distinct = targets.filter((t) => !unique.has(t.address) && unique.set(t.address, unique.size));
    const records = distinct.map((t) => addressRecord(t.address, ttl));
    this.count = Math.min(records.length, most);
    this.size = records[0]?.length ?? 0;
    this.ids = Int32Array.from(distinct, (t) => t.id);
    this.place = new Int16Array(targets.reduce((highest, t) => Math.max(highest, t.id), -1) + 1).fill(-1);
    for (const t of targets) if (t.id >= 0) this.place[t.id] = unique.get(t.address)!;
    // Of two backends with one address each must be counted for itself: a card knows the record only.
    const dealt = distinct.length === targets.length && distinct.length <= MOST_DEALT && this.count > 0;
    this.room = dealt ? Math.max(1, Math.min(MOST_CARDS, Math.floor(MOST_DECK / this.count))) : 0;
    this.block = new Uint8Array(this.size * records.length + this.room * this.count);
    for (const [i, record] of records.entries()) this.block.set(record, i * this.size);
    this.cursor = cursor;
  }

  /** Do they all fit a body of `limit` octets? */
  fits(limit: number): boolean {
    return this.count * this.size <= limit;
  }

  /** Writes the records in the order of `order` (backend ids) at `at`; returns how many. */
  writeOrdered(out: Uint8Array, at: number, order: readonly number[]): number {
    const mark = this.begin();
    let count = 0;
    for (let i = 0; i < order.length && count < this.count; i++) {
      const record = this.take(order[i]!, mark);
      if (record < 0) continue;
      if (count === 0) this.first = order[i]!;
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
   * Writes the next answer whose order was drawn ahead. A scheduler that hangs on nothing but its own turns gives the
   * same orders whether they are drawn one by one or sixteen at once; but drawn together they find its memory in the
   * cache, and a query touches two lines of memory instead of forty. A name that is asked for seldom draws few.
   */
  deal(out: Uint8Array, at: number, orders: Orders, v6: boolean): number {
    const { block, size, count } = this;
    if (this.room === 0) return this.writeOrdered(out, at, orders.order(v6, 0));
    if (this.nextCard === this.cards) this.refill(orders, v6);
    const card = this.ids.length * size + this.nextCard++ * count;
    this.first = this.ids[block[card]!]!;
    for (let i = 0; i < count; i++) this.copy(out, at + i * size, block[card + i]!);
    return count;
  }

  private refill(orders: Orders, v6: boolean): void {
    this.cards = Math.min(this.room, Math.max(1, this.cards * 2));
    this.nextCard = 0;
    let at = this.ids.length * this.size;
    for (let card = 0; card < this.cards; card++, at += this.count) {
      const order = orders.order(v6, 0);
      const mark = this.begin();
      let count = 0;
      for (let i = 0; i < order.length && count < this.count; i++) {
        const record = this.take(order[i]!, mark);
        if (record >= 0) this.block[at + count++] = record;
      }
      if (count === this.count) continue;
      // A scheduler that names fewer than there are: all in turn.
      const start = this.cursor++;
      for (let i = 0; i < this.count; i++) this.block[at + i] = (start + i) % this.ids.length;
    }
  }

  private begin(): number {
    this.first = -1;
    answer = (answer + 1) >>> 0;
    if (answer === 0) {
      written.fill(0);
      answer = 1;
    }
    return answer;
  }

  /** The record of a backend, once per answer; -1 when it has none here or was taken. */
  private take(id: number, mark: number): number {
    const record = id < this.place.length ? this.place[id]! : -1;
    if (record < 0 || written[record] === mark) return -1;
    written[record] = mark;
    return record;
  }

  end(at: number, count: number): number {
    return at + count * this.size;
  }

  get turns(): number {
    return this.cursor;
  }

  private copy(out: Uint8Array, at: number, record: number): void {
    const { size, block } = this;
    const from = record * size;
    for (let i = 0; i < size; i++) out[at + i] = block[from + i]!;
  }
}
