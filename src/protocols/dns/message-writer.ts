import { Class, Flag, HEADER } from "./numbers.ts";
import type { Query } from "./query.ts";
import { bodyLimit, bodyStart, finish, type Transport, writeBare, writeTruncated } from "./respond.ts";
import type { Rdata, Section } from "./template.ts";

/** Highest octet that a compression pointer can name (RFC 1035 4.1.4). */
const MOST_POINTER = 0x3fff;

/**
 * Writes an answer record by record: for chains, referrals and what else is not prebuilt. Names are compressed against
 * the question and against each other. `begin`, `record` section by section, `finish`.
 */
export class MessageWriter {
  private out: Uint8Array = new Uint8Array(0);
  private query!: Query;
  private transport!: Transport;
  private limit = 0;
  private at = 0;
  private counts = { answers: 0, authority: 0, additional: 0 };
  /** Octet of each name and suffix that has been written, by its folded octets. */
  private readonly offsets = new Map<string, number>();

  begin(out: Uint8Array, query: Query, transport: Transport): void {
    this.out = out;
    this.query = query;
    this.transport = transport;
    this.at = bodyStart(query);
    this.limit = this.at + bodyLimit(query, transport);
    this.counts = { answers: 0, authority: 0, additional: 0 };
    this.offsets.clear();
    const name = query.name();
    for (let i = 0; name[i] !== 0; i += name[i]! + 1) this.offsets.set(keyOf(name, i), HEADER + i);
  }

  get answers(): number {
    return this.counts.answers;
  }

  /** Octets of the message so far, without OPT. */
  get length(): number {
    return this.at;
  }

  /** Octets of body that are left. */
  get room(): number {
    return this.limit - this.at;
  }

  /** Adds a record; false, and nothing written, when it does not fit. `owner` is lower case. */
  record(section: Section, owner: Uint8Array, type: number, ttl: number, rdata: Rdata): boolean {
    const size = rdata.reduce((sum, part) => sum + (part instanceof Uint8Array ? part.length : part.name.length), 0);
    // Uncompressed it is longest; only near the end must it be written to know.
    const start = this.at;
    if (start + owner.length + 10 + size > this.limit && !this.fitsCompressed(owner, rdata, size)) return false;
    this.name(owner);
    this.u16(type);
    this.u16(Class.IN);
    this.u16(ttl >>> 16);
    this.u16(ttl & 0xffff);
    const lengthAt = this.at;
    this.at += 2;
    for (const part of rdata) {
      if (part instanceof Uint8Array) {
        this.out.set(part, this.at);
        this.at += part.length;
      } else this.name(part.name);
    }
    const length = this.at - lengthAt - 2;
    this.out[lengthAt] = length >> 8;
    this.out[lengthAt + 1] = length & 0xff;
    this.counts[section]++;
    return true;
  }

  /**
   * Lets `write` put `count` whole answer records at the given octet; their owner is `owner`, in place of the pointer
   * to the question that they begin with, `size` octets each. False, and nothing written, when no pointer can name the owner:
   * it stands nowhere, or too far behind.
   */
  prebuilt(owner: Uint8Array, size: number, write: (out: Uint8Array, at: number) => number): boolean {
    const offset = this.offsets.get(keyOf(owner, 0));
    if (offset === undefined) return false;
    const count = write(this.out, this.at);
    for (let i = 0; i < count; i++) {
      this.out[this.at] = 0xc0 | (offset >> 8);
      this.out[this.at + 1] = offset & 0xff;
      this.at += size;
    }
    this.counts.answers += count;
    return true;
  }

  /** Closes the message; returns its length. */
  finish(rcode: number, authoritative: boolean): number {
    const { answers, authority, additional } = this.counts;
    const bits = authoritative ? Flag.AA : 0;
    return finish(this.out, this.query, this.transport, this.at, rcode, bits, answers, authority, additional);
  }

  /** Closes it without records. */
  bare(rcode: number): number {
    return writeBare(this.out, this.query, this.transport, rcode);
  }

  /** Closes it without records: the client asks over TCP. */
  truncate(rcode: number, authoritative: boolean): number {
    return writeTruncated(this.out, this.query, this.transport, rcode, authoritative);
  }

  private fitsCompressed(owner: Uint8Array, rdata: Rdata, size: number): boolean {
    const saved = (name: Uint8Array): number => name.length - this.compressedSize(name);
    const less = rdata.reduce((sum, part) => sum + (part instanceof Uint8Array ? 0 : saved(part.name)), saved(owner));
    return this.at + owner.length + 10 + size - less <= this.limit;
  }

  private compressedSize(name: Uint8Array): number {
    for (let i = 0; name[i] !== 0; i += name[i]! + 1) if (this.offsets.has(keyOf(name, i))) return i + 2;
    return name.length;
  }

  private name(wire: Uint8Array): void {
    for (let i = 0; wire[i] !== 0; i += wire[i]! + 1) {
      const key = keyOf(wire, i);
      const known = this.offsets.get(key);
      if (known !== undefined) {
        this.u16(0xc000 | known);
        return;
      }
      if (this.at <= MOST_POINTER) this.offsets.set(key, this.at);
      for (let k = i; k <= i + wire[i]!; k++) this.out[this.at++] = wire[k]!;
    }
    this.out[this.at++] = 0;
  }

  private u16(value: number): void {
    this.out[this.at++] = value >> 8;
    this.out[this.at++] = value & 0xff;
  }
}

const keyOf = (wire: Uint8Array, at: number): string => String.fromCharCode(...wire.subarray(at));
