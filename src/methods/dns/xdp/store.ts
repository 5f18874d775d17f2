import { DnsLimit } from "./layout.ts";

const { DNS_PAGE, DNS_PAGE_MASK, DNS_PAGE_SHIFT } = DnsLimit;

/** Octets that a reference counts in. */
export const UNIT = 8;
/** Octets that a CPU fetches at once. */
const LINE = 64;

/** Where a record begins, bytes from the store's beginning. */
export const offsetOf = (reference: number): number =>
  (reference >>> DNS_PAGE_SHIFT) * DNS_PAGE + ((reference << 3) & DNS_PAGE_MASK);

/** Places in the store of records, handed out once and never taken back. */
export class Places {
  #page = 0;
  /** The first 8 bytes stay empty: reference 0 is none. */
  #at = 8;
  readonly #most: number;

  /** `pages`: how many there are. */
  constructor(pages = Number.POSITIVE_INFINITY) {
    this.#most = pages;
  }

  get pages(): number {
    return this.#page + 1;
  }

  /** A place for `size` bytes; null when the store is full. */
  take(size: number): number | null {
    // What fits a line of the cache lies in one, and what is larger begins one.
    const over = this.#at % LINE;
    if (over > 0 && over + size > LINE) this.#at += LINE - over;
    if (this.#at > DNS_PAGE_MASK || this.#at + size > DNS_PAGE) {
      if (this.#page + 1 >= this.#most) return null;
      this.#page++;
      this.#at = 0;
    }
    const reference = (this.#page << DNS_PAGE_SHIFT) | (this.#at >> 3);
    this.#at += (size + 7) & ~7;
    return reference;
  }

  /** The same places go on being handed out in a store of `pages`. */
  within(pages: number): Places {
    const next = new Places(pages);
    next.#page = this.#page;
    next.#at = this.#at;
    return next;
  }
}

/** Records that are put together before their final size is known. */
export class Draft {
  readonly places = new Places();
  readonly pages: Uint8Array[] = [];

  /** Adds a record, with room for it to grow to `room` bytes. */
  add(bytes: Uint8Array, room = bytes.length): number {
    const reference = this.places.take(room)!;
    this.at(reference).set(bytes);
    return reference;
  }

  /** The bytes from a record on. */
  at(reference: number): Uint8Array {
    const page = reference >>> DNS_PAGE_SHIFT;
    while (this.pages.length <= page) this.pages.push(new Uint8Array(DNS_PAGE));
    return this.pages[page]!.subarray((reference << 3) & DNS_PAGE_MASK);
  }
}
