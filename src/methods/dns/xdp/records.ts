import { addressRecord } from "../../../protocols/dns/rdata.ts";
import type { Template } from "../../../protocols/dns/template.ts";
import { DnsLimit, dnsBlock, dnsFirst, dnsReady, dnsVariant } from "./layout.ts";

/** Who may stand first in an answer. */
export interface First {
  address: string;
  /** Above 0; in proportion to the others'. */
  weight: number;
  /** Counter of the service that is raised when it stands first. */
  counter: number;
}

/** Orders that the others may follow the first in, at most. */
const MOST_RINGS = 3;
/** `keep` of an alias table is of so many. */
const WHOLE = 65536;

/** Ring `r` goes round the records by a step that is coprime to their number, so each step brings other neighbours. */
function stepsFor(count: number): number[] {
  const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
  const steps = [1];
  for (let step = 2; step < count && steps.length < MOST_RINGS; step++) if (common(step, count) === 1) steps.push(step);
  return steps;
}

/**
 * Walker's alias table (Vose 1991): a column is drawn evenly, kept with probability `keep` of 65,536, else `other`
 * stands for it. Exact to 1/65,536.
 */
export function aliasTable(weights: readonly number[]): { keep: number; other: number }[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const share = weights.map((weight) => (weight * weights.length) / total);
  const table = weights.map((_, i) => ({ keep: WHOLE, other: i }));
  const poor = share.flatMap((s, i) => (s < 1 ? [i] : []));
  const rich = share.flatMap((s, i) => (s >= 1 ? [i] : []));
  while (poor.length > 0 && rich.length > 0) {
    const small = poor.pop()!;
    const large = rich.at(-1)!;
    table[small] = { keep: Math.round(share[small]! * WHOLE), other: large };
    share[large]! -= 1 - share[small]!;
    if (share[large]! < 1) poor.push(rich.pop()!);
  }
  return table;
}

/** How a set is answered: at most `most` addresses; in turn: the others always follow in their own order. */
export interface Manner {
  most: number;
  inTurn: boolean;
}

const stepsOf = (count: number, { most, inTurn }: Manner): number[] => (most === 1 || inTurn ? [1] : stepsFor(count));

/** The place in a list with these weights that a random u32 means, as the program draws it. */
export function columnFor(weights: readonly number[], random: number): number {
  const column = ((random & 0xffff) * weights.length) >>> 16;
  const { keep, other } = aliasTable(weights)[column]!;
  return random >>> 16 >= keep ? other : column;
}

/** The order of addresses (places in the list) that a random u32 stands for, as the program draws it. */
export function orderFor(weights: readonly number[], manner: Manner, random: number): number[] {
  const count = weights.length;
  const { most } = manner;
  const steps = stepsOf(count, manner);
  const first = columnFor(weights, random);
  const ring = ((Math.imul(random, GOLDEN) >>> 16) * steps.length) >>> 16;
  return Array.from({ length: Math.min(most, count) }, (_, i) => (first + i * steps[ring]!) % count);
}

const GOLDEN = 0x9e3779b1;

/** Octets of a set of so many addresses. */
export function blockSize(count: number, manner: Manner, v6: boolean): number {
  const shown = Math.min(count, manner.most);
  const rings = stepsOf(count, manner).length;
  return (
    dnsBlock.size +
    count * dnsFirst.size +
    rings * count * dnsVariant.size +
    rings * (count + shown - 1) * (v6 ? 28 : 16)
  );
}

/** A set as the program reads it: distinct addresses of one kind. */
export function encodeBlock(firsts: readonly First[], ttl: number, manner: Manner): Uint8Array {
  const records = firsts.map(({ address }) => addressRecord(address, ttl));
  const count = records.length;
  const size = records[0]!.length;
  const shown = Math.min(count, manner.most);
  const steps = stepsOf(count, manner);
  const out = new Uint8Array(blockSize(count, manner, size === 28));
  const view = new DataView(out.buffer);
  view.setUint16(dnsBlock.bytes, shown * size, true);
  view.setUint16(dnsBlock.count, shown, true);
  view.setUint16(dnsBlock.firsts, count, true);
  view.setUint16(dnsBlock.rings, steps.length, true);
  let at = dnsBlock.size;
  for (const [i, { keep, other }] of aliasTable(firsts.map(({ weight }) => weight)).entries()) {
    view.setUint32(at + dnsFirst.keep, keep, true);
    view.setUint16(at + dnsFirst.other, other, true);
    view.setUint16(at + dnsFirst.counter, firsts[i]!.counter, true);
    at += dnsFirst.size;
  }
  let variant = at;
  at += steps.length * count * dnsVariant.size;
  const sums = records.map(checksum);
  for (const step of steps) {
    // Going on beyond the end to where it began, so that every order is one piece of memory.
    for (let i = 0; i < count + shown - 1; i++) out.set(records[(i * step) % count]!, at + i * size);
    for (let i = 0; i < count; i++) {
      const first = (i * step) % count;
      let sum = 0;
      for (let j = 0; j < shown; j++) sum += sums[(first + j * step) % count]!;
      view.setUint16(variant + first * dnsVariant.size + dnsVariant.at, at + i * size, true);
      view.setUint16(variant + first * dnsVariant.size + dnsVariant.sum, folded(sum), true);
    }
    variant += count * dnsVariant.size;
    at += (count + shown - 1) * size;
  }
  return out;
}

const folded = (sum: number): number => {
  let left = sum;
  while (left > 0xffff) left = (left & 0xffff) + Math.floor(left / WHOLE);
  return left;
};

/** The one's complement sum of octets as a little-endian machine adds them, not inverted (RFC 1071). */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i]! | ((bytes[i + 1] ?? 0) << 8);
  return folded(sum);
}

/** A ready answer as the program reads it; null for one that it cannot give. */
export function encodeReady(template: Template): Uint8Array | null {
  const { body, pointers, rcode, authoritative, answers, authority, additional } = template;
  if (body.length > DnsLimit.DNS_BODY_MOST || pointers.length > DnsLimit.DNS_POINTERS || rcode > 15) return null;
  const out = new Uint8Array(dnsReady.size + body.length);
  const view = new DataView(out.buffer);
  out.set(body, dnsReady.size);
  for (const [i, at] of pointers.entries()) {
    const place = dnsReady.pointer + i * 4;
    view.setUint16(place, at, true);
    view.setUint16(place + 2, (body[at]! << 8) | body[at + 1]!, true);
    out[dnsReady.size + at] = 0;
    out[dnsReady.size + at + 1] = 0;
  }
  view.setUint16(dnsReady.bytes, body.length, true);
  view.setUint16(dnsReady.sum, checksum(out.subarray(dnsReady.size)), true);
  out[dnsReady.rcode] = rcode;
  out[dnsReady.authoritative] = Number(authoritative);
  out[dnsReady.pointers] = pointers.length;
  for (const [i, count] of [answers, authority, additional].entries()) view.setUint16(dnsReady.counts + i * 2, count);
  return out;
}
