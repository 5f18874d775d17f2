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
  set(prefix: Prefix, value: number): void {
    // First the node: making it may move the arrays.
    const node = this.nodeOf(prefix);
    this.values[node] = value + 1;
  }

  /** Sets the value of a network and of all within it that was set before. */
  cover(prefix: Prefix, value: number): void {
    const node = this.nodeOf(prefix);
    this.values[node] = value + 1;
    this.children[node * 2] = 0;
    this.children[node * 2 + 1] = 0;
  }

  private nodeOf({ bytes, length }: Prefix): number {
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
    return node;
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

  /** For those who lay it out anew: the node below one for the next bit; 0: there is none. Roots are 0 (IPv4) and 1. */
  below(node: number, bit: number): number {
    return this.children[node * 2 + bit]!;
  }

  /** Value + 1 of a node; 0: it has none. */
  valueOf(node: number): number {
    return this.values[node]!;
  }

  /** Every network that has a value, wide ones before those within them. */
  *entries(): Generator<{ prefix: Prefix; value: number }> {
    for (const [root, size] of [
      [0, 4],
      [1, 16],
    ] as const)
      yield* this.within(root, new Uint8Array(size), 0);
  }

  private *within(node: number, bytes: Uint8Array, length: number): Generator<{ prefix: Prefix; value: number }> {
    const own = this.values[node]!;
    if (own !== 0) yield { prefix: { bytes: bytes.slice(), length }, value: own - 1 };
    for (const bit of [0, 1]) {
      const next = this.children[node * 2 + bit]!;
      if (next === 0) continue;
      const mask = 0x80 >> (length & 7);
      if (bit === 1) bytes[length >> 3]! |= mask;
      yield* this.within(next, bytes, length + 1);
      bytes[length >> 3]! &= ~mask;
    }
  }

  /**
   * Leaves out what decides nothing: networks that have the value of what is around them. Look-ups give the same
   * values with shorter scopes.
   */
  compact(): PrefixTrie {
    const made = new PrefixTrie();
    for (const root of [0, 1]) {
      const value = this.copy(root, 0, made, root);
      if (value >= 0) made.values[root] = value;
    }
    return made;
  }

  /**
   * Copies what lies below `node`, where `value` holds, to `target` and gives -1; nothing, and the value, when it is one
   * value all over. Depth is bounded by 128.
   */
  private copy(node: number, value: number, made: PrefixTrie, target: number): number {
    const own = this.values[node]! === 0 ? value : this.values[node]!;
    const { count } = made;
    const sides = [0, 1].map((bit) => {
      const child = this.children[node * 2 + bit]!;
      if (child === 0) return { next: 0, value: own };
      const next = made.add();
      return { next, value: this.copy(child, own, made, next) };
    }) as [Side, Side];
    if (sides[0].value >= 0 && sides[0].value === sides[1].value) {
      // Nothing below was kept: give the nodes back.
      made.count = count;
      return sides[0].value;
    }
    made.values[target] = own;
    for (const [bit, side] of sides.entries()) {
      if (side.value === own) continue;
      made.children[target * 2 + bit] = side.next;
      if (side.value > 0) made.values[side.next] = side.value;
    }
    return -1;
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
    // The place may have been used and given back.
    this.children.fill(0, this.count * 2, this.count * 2 + 2);
    this.values[this.count] = 0;
    return this.count++;
  }
}

/** Half of what lies below a node: its node, and its value + 1 when it has one all over, else -1. */
interface Side {
  next: number;
  value: number;
}

/** A trie over prefixes whose value is their place in the list. */
export function trieOf(prefixes: readonly Prefix[]): PrefixTrie {
  const trie = new PrefixTrie();
  for (const [i, prefix] of prefixes.entries()) trie.set(prefix, i);
  return trie;
}
