import { mix32 } from "../../../core/hash.ts";
import type { Kind, Leaf, Plan } from "../steering/plan.ts";
import { DnsLimit, DnsPart, dnsDraw, dnsPart, dnsTree } from "./layout.ts";
import { aliasTable, columnFor } from "./records.ts";
import type { SetBytes } from "./view.ts";

/** Octets of the largest tree: its last set may begin at `DNS_TREE_MOST` - 8. */
export const MOST_TREE = DnsLimit.DNS_TREE_MOST + DnsLimit.DNS_SET_MOST;
/** Parts of a draw; the program masks with it. */
const MOST_PARTS = 255;

/** A group of backends that some clients get, how often (in proportion), and whether their place had a part in it. */
export interface Share {
  leaf: Leaf;
  weight: number;
  placed: boolean;
}

/**
 * What clients of a place get (-1: of none) that ask for one kind of address; `places`: how many there are. Draws inside
 * each other are one draw.
 */
export function sharesOf(plan: Plan, kind: Kind, place: number, places: number): Share[] {
  if (plan.kind === "leaf") return [{ leaf: plan, weight: 1, placed: false }];
  if (plan.kind === "place") {
    const part = plan.parts[place] ?? plan.parts.at(-1)!;
    return sharesOf(part, kind, place, places).map((share) => ({ ...share, placed: places > 0 }));
  }
  const { weights, parts } = plan[kind];
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return parts.flatMap((part, i) =>
    sharesOf(part, kind, place, places).map((share) => ({ ...share, weight: (share.weight * weights[i]!) / total })),
  );
}

/** The share that a random u32 stands for, as the program draws it. */
export const shareFor = (shares: readonly Share[], random: number): Share =>
  shares[
    columnFor(
      shares.map(({ weight }) => weight),
      mix32(random),
    )
  ]!;

const byPlace = (plan: Plan): boolean => plan.kind === "place" || (plan.kind !== "leaf" && plan.parts.some(byPlace));
const rounded = (size: number): number => (size + 7) & ~7;

/**
 * What a plan comes to for one kind of address. `setOf` gives a group's own set. A plan that is one group is that group's
 * set; else a `struct dns_tree`. "pass" for what does not fit.
 */
export function treeOf(plan: Plan, kind: Kind, places: number, setOf: (leaf: Leaf) => SetBytes): SetBytes {
  const count = places > 0 && byPlace(plan) ? places + 1 : 1;
  const rows = Array.from({ length: count }, (_, row) => sharesOf(plan, kind, row - 1, places));
  if (count === 1 && rows[0]!.length === 1) return setOf(rows[0]![0]!.leaf);
  if (count > DnsLimit.DNS_TREE_ROWS || rows.some((shares) => shares.length > MOST_PARTS)) return "pass";
  const sets = new Map(rows.flat().map(({ leaf }) => [leaf.path, leaf]));
  const made = new Map([...sets].map(([path, leaf]) => [path, setOf(leaf)]));
  for (const alike of ["none", "pass"] as const) if ([...made.values()].every((set) => set === alike)) return alike;
  return encode(rows, made);
}

function encode(rows: readonly Share[][], sets: ReadonlyMap<string, SetBytes>): SetBytes {
  const out = new Uint8Array(MOST_TREE);
  const view = new DataView(out.buffer);
  const draws = new Map<string, Share[]>();
  const keyOf = (shares: readonly Share[]): string =>
    JSON.stringify(shares.map(({ leaf, weight, placed }) => [leaf.path, weight, placed]));
  for (const shares of rows) draws.set(keyOf(shares), shares);
  let at = rounded(dnsTree.size + rows.length * 2);
  const drawAt = new Map<string, number>();
  for (const [key, shares] of draws) {
    drawAt.set(key, at);
    at += dnsDraw.size + shares.length * dnsPart.size;
  }
  const setAt = new Map<string, number>();
  for (const [path, set] of sets) {
    if (at >= DnsLimit.DNS_TREE_MOST) return "pass";
    if (typeof set === "string") {
      setAt.set(path, set === "pass" ? DnsPart.DNS_PART_PASS : 0);
      continue;
    }
    out.set(set, at);
    setAt.set(path, at);
    at += rounded(set.length);
  }
  view.setUint16(dnsTree.rows, rows.length, true);
  for (const [i, shares] of rows.entries()) view.setUint16(dnsTree.size + i * 2, drawAt.get(keyOf(shares))!, true);
  for (const [key, shares] of draws) writeDraw(view, drawAt.get(key)!, shares, setAt);
  return out.slice(0, at);
}

function writeDraw(view: DataView, at: number, shares: readonly Share[], setAt: ReadonlyMap<string, number>): void {
  view.setUint32(at + dnsDraw.parts, shares.length, true);
  const table = aliasTable(shares.map(({ weight }) => weight));
  for (const [i, { leaf, placed }] of shares.entries()) {
    const part = at + dnsDraw.size + i * dnsPart.size;
    view.setUint32(part + dnsPart.keep, table[i]!.keep, true);
    view.setUint16(part + dnsPart.other, table[i]!.other, true);
    view.setUint16(part + dnsPart.at, setAt.get(leaf.path)! | (placed ? DnsPart.DNS_PART_PLACE : 0), true);
  }
}
