import { addressRecord } from "../../protocols/dns/rdata.ts";
import type { Target } from "./compile.ts";

/** Which answer last wrote each record. One for all sets: one question is answered at a time. */
const written = new Uint32Array(1 << 16);
let answer = 0;

/**
 * The addresses of one kind (A or AAAA) of a service: whole records, prebuilt, written in the order that is asked for.
 * The same address behind two backends is one record (RFC 2181 5: no duplicates).
 */
export class AddressSet {
  /** Records in the answer: distinct addresses, at most what the service allows. */
  readonly count: number;
  /** Octets of one record: 16 or 28. */
  readonly size: number;
  readonly records: Uint8Array;
  /** Backend id per record: the first that has the address; -1 for an address without one. */
  readonly ids: Int32Array;
  /** Has every backend an address of its own? Else a record does not tell for whom it stands. */
  readonly single: boolean;
  /** Backend id to record number, -1 for ids of no concern. */
  private readonly place: Int16Array;
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
    this.single = distinct.length === targets.length;
    this.records = new Uint8Array(this.size * records.length);
    for (const [i, record] of records.entries()) this.records.set(record, i * this.size);
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

  /** Writes the numbers of `count` records in the order of `order` to `out`; false: they are in turn, it named fewer. */
  pick(order: readonly number[], out: Uint8Array, at: number): boolean {
    const mark = this.begin();
    let count = 0;
    for (let i = 0; i < order.length && count < this.count; i++) {
      const record = this.take(order[i]!, mark);
      if (record >= 0) out[at + count++] = record;
    }
    if (count === this.count) return true;
    const start = this.cursor++;
    for (let i = 0; i < this.count; i++) out[at + i] = (start + i) % this.ids.length;
    return false;
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
    const { size, records } = this;
    const from = record * size;
    for (let i = 0; i < size; i++) out[at + i] = records[from + i]!;
  }
}
