import type { Rdata } from "../template.ts";

/** RDATA as one run of octets, names whole: what RFC 4034 6.2 signs. Names here are lower case already. */
export function flatRdata(rdata: Rdata): Uint8Array {
  if (rdata.length === 1 && rdata[0] instanceof Uint8Array) return rdata[0];
  const parts = rdata.map((part) => (part instanceof Uint8Array ? part : part.name));
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Order of RDATA within a set: as left-justified octets, the shorter first (RFC 4034 6.3). */
export function compareRdata(a: Uint8Array, b: Uint8Array): number {
  const least = Math.min(a.length, b.length);
  for (let i = 0; i < least; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/**
 * A whole RRset in canonical form (RFC 4034 6.3): what a signature covers after its own RDATA. `owner` is lower case;
 * `ttl` the set's original one; `rdata` flat, in any order, without repeats.
 */
export function canonicalSet(owner: Uint8Array, type: number, ttl: number, rdata: readonly Uint8Array[]): Uint8Array {
  const sorted = rdata.length > 1 ? [...rdata].sort(compareRdata) : rdata;
  const each = owner.length + 10;
  const out = new Uint8Array(sorted.reduce((sum, part) => sum + each + part.length, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const part of sorted) {
    out.set(owner, at);
    at += owner.length;
    view.setUint16(at, type);
    view.setUint16(at + 2, 1);
    view.setUint32(at + 4, ttl);
    view.setUint16(at + 8, part.length);
    out.set(part, at + 10);
    at += 10 + part.length;
  }
  return out;
}
