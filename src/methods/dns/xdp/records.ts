import { isIPv6, toBytes16 } from "../../../core/address.ts";
import type { Template } from "../../../protocols/dns/template.ts";
import { DnsLimit, dnsBlock, dnsFirst, dnsReady } from "./layout.ts";

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
export const blockSize = (count: number, v6: boolean): number =>
  dnsBlock.size + count * (dnsFirst.size + (v6 ? 16 : 4));

/** A set as the program reads it: distinct addresses of one kind. */
export function encodeBlock(firsts: readonly First[], ttl: number, manner: Manner): Uint8Array {
  const count = firsts.length;
  const v6 = isIPv6(firsts[0]!.address);
  const out = new Uint8Array(blockSize(count, v6));
  const view = new DataView(out.buffer);
  out[dnsBlock.shown] = Math.min(count, manner.most);
  out[dnsBlock.count] = count;
  out.set(stepsOf(count, manner).slice(1), dnsBlock.steps);
  view.setUint32(dnsBlock.ttl, ttl, true);
  const table = aliasTable(firsts.map(({ weight }) => weight));
  const [width, skipped] = v6 ? [16, 0] : [4, 12];
  for (const [i, { address, counter }] of firsts.entries()) {
    const { keep, other } = table[i]!;
    const at = dnsBlock.size + count * width + i * dnsFirst.size;
    // Always kept: it stands for itself, since the whole does not fit 16 bits.
    view.setUint16(at + dnsFirst.keep, Math.min(keep, WHOLE - 1), true);
    view.setUint16(at + dnsFirst.other, keep === WHOLE ? i : other, true);
    view.setUint16(at + dnsFirst.counter, counter, true);
    out.set(toBytes16(address).subarray(skipped), dnsBlock.size + i * width);
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
