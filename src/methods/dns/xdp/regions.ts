import type { PrefixTrie } from "../../../geo/trie.ts";
import { DnsLimit, dnsStride } from "./layout.ts";

const { DNS_LEAF } = DnsLimit;
/** Entries of a table: one for each value of four bits. */
const ENTRIES = dnsStride.size / 4;
const BITS = 4;
/** Bits of an address by the root of its family. */
const ADDRESS_BITS = [32, 128];

/**
 * Tries as the program reads them, `struct dns_stride` one after another: the roots first, IPv4 and IPv6 of each. An
 * absent trie says nothing of anybody.
 */
export function toStrides(tries: readonly (PrefixTrie | null)[]): Uint32Array {
  const made = new Tables();
  for (let i = 0; i < tries.length * 2; i++) made.add();
  for (const [i, trie] of tries.entries())
    for (const root of [0, 1])
      if (trie === null) made.words.fill(DNS_LEAF, (2 * i + root) * ENTRIES, (2 * i + root + 1) * ENTRIES);
      else fill(made, 2 * i + root, trie, root, 0, 0, ADDRESS_BITS[root]!);
  return made.words.subarray(0, made.count * ENTRIES);
}

/** Fills the table for what lies below `node`, `depth` bits down, where `value` (+ 1) holds. */
function fill(
  made: Tables,
  table: number,
  trie: PrefixTrie,
  node: number,
  depth: number,
  value: number,
  most: number,
): void {
  for (let entry = 0; entry < ENTRIES; entry++) {
    let at = node;
    let held = trie.valueOf(node) || value;
    let bit = 0;
    let ended = false;
    // As `PrefixTrie.find` goes: it has looked at a bit even where nothing hangs on it.
    while (bit < BITS && !ended) {
      if (trie.below(at, 0) === 0 && trie.below(at, 1) === 0) break;
      const next = trie.below(at, (entry >> (BITS - 1 - bit)) & 1);
      bit++;
      if (next === 0) ended = true;
      else {
        at = next;
        held = trie.valueOf(at) || held;
      }
    }
    const deeper =
      bit === BITS && !ended && depth + BITS < most && (trie.below(at, 0) !== 0 || trie.below(at, 1) !== 0);
    const next = deeper ? made.add() : 0;
    made.words[table * ENTRIES + entry] = deeper ? next : DNS_LEAF | (held << 8) | (depth + bit);
    if (deeper) fill(made, next, trie, at, depth + BITS, held, most);
  }
}

/** Tables whose number is not known before. */
class Tables {
  words = new Uint32Array(16 * ENTRIES);
  count = 0;

  add(): number {
    if ((this.count + 1) * ENTRIES > this.words.length) {
      const more = new Uint32Array(this.words.length * 2);
      more.set(this.words);
      this.words = more;
    }
    return this.count++;
  }
}
