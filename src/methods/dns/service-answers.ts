import type { Balancer } from "../../core/method.ts";
import { Flag, Rcode } from "../../protocols/dns/numbers.ts";
import type { Query } from "../../protocols/dns/query.ts";
import { addressRecord } from "../../protocols/dns/rdata.ts";
import { bodyLimit, bodyStart, finish, type Transport, writeTruncated } from "../../protocols/dns/respond.ts";
import type { CompiledDns, Target } from "./compile.ts";

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

/** What one service answers: rebuilt whole when its snapshot changes, read by every query. */
export class ServiceAnswers {
  readonly name: string;
  /** Order of A answers, order of AAAA answers; the same balancer when the service has one kind of address only. */
  private balancers: { v4: Balancer; v6: Balancer };
  readonly needsKey: boolean;
  v4!: AddressSet;
  v6!: AddressSet;
  rule!: CompiledDns["rule"];

  constructor(compiled: CompiledDns, balancers: { v4: Balancer; v6: Balancer }, needsKey: boolean) {
    this.name = compiled.service;
    this.balancers = balancers;
    this.needsKey = needsKey;
    this.update(compiled, balancers);
  }

  update(compiled: CompiledDns, balancers: { v4: Balancer; v6: Balancer }): void {
    this.balancers = balancers;
    const { ttl, most } = compiled;
    this.v4 = new AddressSet(compiled.v4, ttl, most, this.v4?.turns);
    this.v6 = new AddressSet(compiled.v6, ttl, most, this.v6?.turns);
    this.rule = compiled.rule;
  }

  /** Writes the whole answer to an A (or, with `v6`, AAAA) query; the set must not be empty. Returns its length. */
  write(out: Uint8Array, query: Query, transport: Transport, v6: boolean, key: number): number {
    const set = v6 ? this.v6 : this.v4;
    if (!set.fits(bodyLimit(query, transport))) {
      set.first = -1;
      return writeTruncated(out, query, transport, Rcode.NOERROR);
    }
    const at = bodyStart(query);
    let count = 0;
    if (this.rule === "steered") count = set.writeOrdered(out, at, this.order(v6, set, key));
    if (count === 0) count = set.writeRotated(out, at);
    return finish(out, query, transport, set.end(at, count), Rcode.NOERROR, Flag.AA, count, 0, 0);
  }

  private order(v6: boolean, set: AddressSet, key: number): readonly number[] {
    const balancer = v6 ? this.balancers.v6 : this.balancers.v4;
    if (set.count > 1 || balancer.snapshot.eligible.length > 1) return balancer.order(key);
    return balancer.snapshot.eligible;
  }
}
