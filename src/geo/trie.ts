import type { Prefix } from "./prefix.ts";

/** What a look-up found: the value, and how many leading bits of the address decide it (RFC 7871's scope). */
export interface Found {
  value: number;
  scope: number;
}

/**
 * Longest prefix match over IPv4 and IPv6 networks: a binary trie in two typed arrays, one root for each family. Values
 * are integers from 0. A look-up takes at most 32 (128) steps and allocates nothing.
 */
export class PrefixTrie {
  /** Two numbers a node: its children for bit 0 and bit 1; 0 is none, for no child is a root. */
  private children = new Int32Array(2 * 64);
  /** Value + 1 of each node; 0 is none. */
  private values = new Int32Array(64);
  private count = 2;
  /** Of the last look-up. */
  private readonly found: Found = { value: -1, scope: 0 };

  /** Number of nodes, 12 octets each. */
  get size(): number {
    return this.count;
  }

  /** Sets the value of a network; a later value of the same network wins. */
  set({ bytes, length }: Prefix, value: number): void {
    let node = bytes.length === 4 ? 0 : 1;
    for (let bit = 0; bit < length; bit++) {
      const side = node * 2 + ((bytes[bit >> 3]! >> (7 - (bit & 7))) & 1);
      let next = this.children[side]!;
      if (next === 0) {
        next = this.add();
        this.children[side] = next;
      }
      node = next;
    }
    this.values[node] = value + 1;
  }

  /**
   * The value of the longest network that holds `bytes[at..at + size)` (4 or 16 octets), -1 for none. The result is
   * valid until the next call. All addresses that agree in the first `scope` bits have the same one.
   */
  find(bytes: Uint8Array, at: number, size: number): Found {
    const { found, children, values } = this;
    let node = size === 4 ? 0 : 1;
    let value = values[node]!;
    let bit = 0;
    for (const bits = size * 8; bit < bits; ) {
      if (children[node * 2] === 0 && children[node * 2 + 1] === 0) break;
      const next = children[node * 2 + ((bytes[at + (bit >> 3)]! >> (7 - (bit & 7))) & 1)]!;
      bit++;
      if (next === 0) break;
      node = next;
      if (values[node] !== 0) value = values[node]!;
    }
    found.value = value - 1;
    found.scope = bit;
    return found;
  }

  /**
   * Leaves out what decides nothing: networks that have the value of the one around them, and branches without values
   * of their own. Look-ups give the same values with shorter scopes.
   */
  compact(): PrefixTrie {
    const made = new PrefixTrie();
    for (const root of [0, 1]) this.copy(root, 0, made, root);
    return made;
  }

  /** Copies what lies below `node` to `target`; `value` is what holds there. Depth is bounded by 128. */
  private copy(node: number, value: number, made: PrefixTrie, target: number): void {
    const own = this.values[node]! === 0 ? value : this.values[node]!;
    if (own !== value) made.values[target] = own;
    for (const bit of [0, 1]) {
      const child = this.children[node * 2 + bit]!;
      if (child === 0 || !this.differs(child, own)) continue;
      const next = made.add();
      made.children[target * 2 + bit] = next;
      this.copy(child, own, made, next);
    }
  }

  /** Is there any other value than `value` at or below a node? */
  private differs(node: number, value: number): boolean {
    if (this.values[node] !== 0 && this.values[node] !== value) return true;
    const inside = this.values[node] === 0 ? value : this.values[node]!;
    for (const bit of [0, 1]) {
      const child = this.children[node * 2 + bit]!;
      if (child !== 0 && this.differs(child, inside)) return true;
    }
    return false;
  }

  private add(): number {
    if (this.count === this.values.length) {
      const values = new Int32Array(this.count * 2);
      values.set(this.values);
      this.values = values;
      const children = new Int32Array(this.count * 4);
      children.set(this.children);
      this.children = children;
    }
    return this.count++;
  }
}

/** A trie over prefixes whose value is their place in the list. */
export function trieOf(prefixes: readonly Prefix[]): PrefixTrie {
  const trie = new PrefixTrie();
  for (const [i, prefix] of prefixes.entries()) trie.set(prefix, i);
  return trie;
}
