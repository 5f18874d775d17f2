import { DnsLimit, dnsSlot } from "./layout.ts";

/** Both halves of a name's hash, as `names.h` makes them; lower-case wire form. */
export function hashName(wire: Uint8Array, seed: number): { a: number; b: number } {
  padded.fill(0, 0, (wire.length + 7) & ~7);
  padded.set(wire);
  let a = seed | 0;
  let b = ~seed;
  for (let at = 0; at < wire.length; at += 8) {
    a = Math.imul(a ^ word(at), 0x85ebca6b);
    a ^= a >>> 15;
    b = Math.imul(b ^ word(at + 4) ^ a, 0xc2b2ae35);
    b ^= b >>> 13;
    a = (a + b) | 0;
  }
  return { a: (a ^ (a >>> 16)) >>> 0, b: b >>> 0 };
}

const padded = new Uint8Array(264);
const word = (at: number): number =>
  padded[at]! | (padded[at + 1]! << 8) | (padded[at + 2]! << 16) | (padded[at + 3]! << 24);

/** A service as the table of names knows it: the reference of its set, and its first counter; null: of none. */
type Owner = { set: number; counter: number } | null;

/** Seeds that are tried before the table is made larger. */
const TRIES = 8;

/**
 * The table that finds names: open addressing, at most half full, no name further than `DNS_PROBES` from its place.
 * @param nodes the reference of each name's record
 * @param owners of whose service each name is
 */
export function nameSlots(
  names: readonly Uint8Array[],
  nodes: readonly number[],
  owners: readonly Owner[],
): { slots: Uint32Array; seed: number } {
  let size = 2;
  while (size < names.length * 2) size *= 2;
  for (let seed = 1; ; seed++) {
    const slots = tryPlacing(names, nodes, owners, size, seed);
    if (slots !== null) return { slots, seed };
    if (seed % TRIES === 0) size *= 2;
  }
}

function tryPlacing(
  names: readonly Uint8Array[],
  nodes: readonly number[],
  owners: readonly Owner[],
  size: number,
  seed: number,
): Uint32Array | null {
  const width = dnsSlot.size / 4;
  const slots = new Uint32Array(size * width);
  for (const [i, wire] of names.entries()) {
    const { a, b } = hashName(wire, seed);
    let probe = 0;
    while (slots[((a + probe) & (size - 1)) * width + dnsSlot.node / 4] !== 0)
      if (++probe === DnsLimit.DNS_PROBES) return null;
    const at = ((a + probe) & (size - 1)) * width;
    slots[at + dnsSlot.tag / 4] = b;
    slots[at + dnsSlot.node / 4] = nodes[i]! + 1;
    slots[at + dnsSlot.set / 4] = owners[i]?.set ?? 0;
    slots[at + dnsSlot.counter / 4] = (owners[i]?.counter ?? -1) + 1;
  }
  return slots;
}
