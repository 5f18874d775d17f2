import { getWord, setWord } from "../../../dataplane/memory.ts";
import { DnsSet, dnsSet } from "./layout.ts";
import type { Program } from "./program.ts";
import { offsetOf } from "./store.ts";
import type { SetBytes } from "./view.ts";

/** ms after which nobody can still be reading a set that was replaced: an XDP program runs for a microsecond. */
const QUIET = 100;

/** The two places of a set: one is read, the other is written next. */
interface Pair {
  shown: number;
  other: number;
  /** When `other` was shown last. */
  left: number;
}

/** Puts new sets in the place of old ones while the program runs: written beside, then shown by one store. */
export class LiveSets {
  readonly #program: Program;
  readonly #pairs = new Map<number, Pair>();
  readonly #now: () => number;

  /** `now`: monotonic ms. */
  constructor(program: Program, now: () => number) {
    this.#program = program;
    this.#now = now;
  }

  /**
   * Shows one of a service's sets, which are at a reference. `room`: octets its places have. "later": its other place may still be read; the workers
   * answer until this is called again. "full": there is no room for it, or for a second place, and they go on.
   */
  show(service: number, v6: boolean, set: SetBytes, room: number): "shown" | "later" | "full" {
    const { pages } = this.#program;
    const offset = offsetOf(service) + (v6 ? dnsSet.v6 : dnsSet.v4);
    const write = (value: number): void => setWord(pages, 0, offset, value);
    const pair = this.#pairOf(offset);
    if (set === "none" || set === "pass") {
      write(set === "none" ? DnsSet.DNS_SET_NONE : DnsSet.DNS_SET_PASS);
      return "shown";
    }
    if (set.length > room) {
      write(DnsSet.DNS_SET_PASS);
      return "full";
    }
    if (pair.other === 0) pair.other = this.#program.places.take(room) ?? 0;
    if (pair.other === 0 || this.#now() - pair.left < QUIET) {
      write(DnsSet.DNS_SET_PASS);
      return pair.other === 0 ? "full" : "later";
    }
    pages.bytes.set(set, offsetOf(pair.other));
    write(pair.other);
    [pair.shown, pair.other] = [pair.other, pair.shown];
    pair.left = this.#now();
    return "shown";
  }

  /** `offset`: of what shows the set. */
  #pairOf(offset: number): Pair {
    let pair = this.#pairs.get(offset);
    if (pair === undefined) {
      const word = getWord(this.#program.pages, 0, offset);
      pair = { shown: word === DnsSet.DNS_SET_PASS ? 0 : word, other: 0, left: Number.NEGATIVE_INFINITY };
      this.#pairs.set(offset, pair);
    }
    return pair;
  }
}
