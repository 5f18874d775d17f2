import { hashText, mix32 } from "../core/hash.ts";

/**
 * Fills `table` with indices by Maglev's population (Eisenbud et al., NSDI 2016, section 3.4): every backend walks its
 * own permutation of the slots and takes the next free one at its turn. A backend of weight w has a turn in w of
 * `max weight` rounds (as in Envoy), and all have one in the first round: with as many slots as backends none is
 * without a slot, whatever the weights.
 *
 * Tables are equal wherever names, weights, seed and length are: ids and their order play no part.
 * An empty set leaves the table alone. Throws nothing.
 */
export function fillMaglev(
  table: Uint16Array,
  names: readonly string[],
  weights: readonly number[],
  seed: number,
): void {
  const slots = table.length;
  if (names.length === 0 || slots === 0) return;
  populate(table, placesOf(names, weights, seed, slots));
}

/** Backends in the order of their turns: weight, first slot and step of each one's permutation. */
export interface Walk {
  /** Index of each turn's backend. */
  inOrder: Uint16Array;
  weight: Float64Array;
  position: Int32Array;
  skip: Int32Array;
}

/** Where each backend begins to walk a table of so many slots, and how. */
export function placesOf(names: readonly string[], weights: readonly number[], seed: number, slots: number): Walk {
  const inOrder = sortedByName(names);
  const position = new Int32Array(names.length);
  const skip = new Int32Array(names.length);
  const second = mix32(seed ^ 0x736b6970);
  const prime = isPrime(slots);
  for (let turn = 0; turn < names.length; turn++) {
    const name = names[inOrder[turn]!]!;
    position[turn] = hashText(name, seed) % slots;
    const hash = hashText(name, second);
    skip[turn] = prime ? stepOf(hash, slots) : coprimeStep(hash, slots);
  }
  return { inOrder, weight: Float64Array.from(inOrder, (index) => weights[index]!), position, skip };
}

/** Which slots are taken while a table is filled: one memory for all, since a table is filled at a stretch. */
let taken = new Uint8Array(0);

function populate(table: Uint16Array, { inOrder, weight, position, skip }: Walk): void {
  const slots = table.length | 0;
  const heaviest = weight.reduce((most, w) => Math.max(most, w), 0);
  const due = Float64Array.from(weight);
  if (taken.length < slots) taken = new Uint8Array(slots);
  taken.fill(0, 0, slots);
  for (let filled = 0, round = 1; ; round++) {
    for (let turn = 0; turn < inOrder.length; turn++) {
      if (round * weight[turn]! < due[turn]!) continue;
      due[turn]! += heaviest;
      // Some ten steps for each slot, whose end and whose wrapping nobody can foretell: the wrapping has no branch.
      const step = (skip[turn]! - slots) | 0;
      let slot = position[turn]! | 0;
      while (taken[slot] !== 0) {
        slot = (slot + step) | 0;
        slot = (slot + (slots & (slot >> 31))) | 0;
      }
      taken[slot] = 1;
      table[slot] = inOrder[turn]!;
      position[turn] = slot;
      if (++filled === slots) return;
    }
  }
}

/** Code-unit order: equal on every host, unlike a locale's. */
function sortedByName(names: readonly string[]): Uint16Array {
  const order = Array.from(names, (_, index) => index);
  order.sort((a, b) => (names[a]! < names[b]! ? -1 : names[a]! > names[b]! ? 1 : a - b));
  return Uint16Array.from(order);
}

const stepOf = (hash: number, slots: number): number => (slots > 1 ? (hash % (slots - 1)) + 1 : 1);

/** A step that visits every slot: 1..slots-1 for a prime table, the next coprime one otherwise. */
export function coprimeStep(hash: number, slots: number): number {
  let step = stepOf(hash, slots);
  while (gcd(step, slots) !== 1) step = (step % slots) + 1;
  return step;
}

function gcd(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

export function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}
