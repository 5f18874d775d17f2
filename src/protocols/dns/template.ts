import { Class, HEADER } from "./numbers.ts";

/**
 * A prebuilt answer: everything after the question, except OPT. Names in it are compressed against the question, which
 * every answer echoes: its name ends with the zone's apex, so an offset counted from where the apex begins is right for
 * every question below that zone. `pointers` are the places in `body` whose 16-bit value is such an offset.
 */
export interface Template {
  rcode: number;
  authoritative: boolean;
  answers: number;
  authority: number;
  additional: number;
  body: Uint8Array;
  pointers: Uint16Array;
}

export type Section = "answers" | "authority" | "additional";

/** A piece of RDATA: octets as they are, or a name that may be compressed (only RFC 1035 types, RFC 3597 4). */
export type Rdata = readonly (Uint8Array | { name: Uint8Array })[];

/** Builds templates for one zone. `apex` is its wire name, lower case. Cold path: made once per change. */
export class TemplateBuilder {
  private readonly octets: number[] = [];
  private readonly pointers: number[] = [];
  private readonly counts = { answers: 0, authority: 0, additional: 0 };
  /** Octets from the apex's first to each suffix that has been written. */
  private readonly suffixes = new Map<string, number>();
  private readonly apex: Uint8Array;

  constructor(apex: Uint8Array) {
    this.apex = apex;
    for (let at = 0; apex[at] !== 0; at += apex[at]! + 1) this.suffixes.set(keyOf(apex, at), at);
  }

  /** Adds a record; `owner` "question" is the queried name. Records go section by section, in the order of the message. */
  record(section: Section, owner: "question" | Uint8Array, type: number, ttl: number, rdata: Rdata): this {
    if (owner === "question") this.octets.push(0xc0, HEADER);
    else this.name(owner);
    this.u16(type);
    this.u16(Class.IN);
    this.u16(ttl >>> 16);
    this.u16(ttl & 0xffff);
    const lengthAt = this.octets.length;
    this.u16(0);
    for (const part of rdata) {
      if (part instanceof Uint8Array) this.octets.push(...part);
      else this.name(part.name);
    }
    const size = this.octets.length - lengthAt - 2;
    this.octets[lengthAt] = size >> 8;
    this.octets[lengthAt + 1] = size & 0xff;
    this.counts[section]++;
    return this;
  }

  build(rcode: number, authoritative = true): Template {
    return {
      rcode,
      authoritative,
      ...this.counts,
      body: Uint8Array.from(this.octets),
      pointers: Uint16Array.from(this.pointers),
    };
  }

  private u16(value: number): void {
    this.octets.push(value >> 8, value & 0xff);
  }

  private name(wire: Uint8Array): void {
    for (let at = 0; wire[at] !== 0; at += wire[at]! + 1) {
      const key = keyOf(wire, at);
      const known = this.suffixes.get(key);
      if (known !== undefined) {
        this.pointers.push(this.octets.length);
        this.u16(known);
        return;
      }
      // The body begins after the apex, which ends the question's name, and the question's type and class.
      this.suffixes.set(key, this.apex.length + 4 + this.octets.length);
      this.octets.push(...wire.subarray(at, at + wire[at]! + 1));
    }
    this.octets.push(0);
  }
}

const keyOf = (wire: Uint8Array, at: number): string => String.fromCharCode(...wire.subarray(at));
