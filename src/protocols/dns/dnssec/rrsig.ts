import { createHash, type KeyObject, sign, verify } from "node:crypto";
import { isWildcard, labelCount } from "../name.ts";
import { canonicalSet } from "./canonical.ts";

/** ECDSA P-256 with SHA-256 (RFC 6605): the one algorithm that is made here. */
export const ALGORITHM = 13;
/** Flags of DNSKEY (RFC 4034 2.1.1): a zone key, and the secure entry point of it. */
export const ZONE_KEY = 256;
export const ENTRY_KEY = 257;
const SHA256 = 2;

/** DNSKEY RDATA of an ECDSA P-256 public key (`x`, `y`: 32 octets each; RFC 6605 4). */
export const dnskeyRdata = (flags: number, x: Uint8Array, y: Uint8Array): Uint8Array =>
  Uint8Array.from([flags >> 8, flags & 255, 3, ALGORITHM, ...x, ...y]);

/** The key tag of DNSKEY RDATA (RFC 4034 appendix B). */
export function keyTag(dnskey: Uint8Array): number {
  let sum = 0;
  for (const [i, octet] of dnskey.entries()) sum += i & 1 ? octet : octet << 8;
  return (sum + (sum >>> 16)) & 0xffff;
}

/** DS (and CDS) RDATA of a key, digest SHA-256 (RFC 4034 5.1.4, RFC 4509). `owner` is lower case. */
export function dsRdata(owner: Uint8Array, dnskey: Uint8Array): Uint8Array {
  const tag = keyTag(dnskey);
  const digest = createHash("sha256").update(owner).update(dnskey).digest();
  return Uint8Array.from([tag >> 8, tag & 255, ALGORITHM, SHA256, ...digest]);
}

/** What a signature says of itself. Times in seconds since 1970. */
export interface SignatureTerms {
  /** Zone's apex, lower case. */
  signer: Uint8Array;
  tag: number;
  inception: number;
  expiration: number;
}

/** One RRset to be signed; `rdata` flat (`flatRdata`), in any order. */
export interface SignedSet {
  owner: Uint8Array;
  type: number;
  ttl: number;
  rdata: readonly Uint8Array[];
}

/** RRSIG RDATA up to the signature (RFC 4034 3.1). A star in front is no label (3.1.3). */
function rrsigHead({ owner, type, ttl }: SignedSet, terms: SignatureTerms): Uint8Array {
  const out = new Uint8Array(18 + terms.signer.length);
  const view = new DataView(out.buffer);
  view.setUint16(0, type);
  out[2] = ALGORITHM;
  out[3] = labelCount(owner) - (isWildcard(owner) ? 1 : 0);
  view.setUint32(4, ttl);
  view.setUint32(8, terms.expiration);
  view.setUint32(12, terms.inception);
  view.setUint16(16, terms.tag);
  out.set(terms.signer, 18);
  return out;
}

/** RRSIG RDATA over a set: 40 us of one core. The names in it are never compressed (RFC 4034 3.1.7). */
export function signSet(set: SignedSet, terms: SignatureTerms, key: KeyObject): Uint8Array {
  const head = rrsigHead(set, terms);
  const data = Buffer.concat([head, canonicalSet(set.owner, set.type, set.ttl, set.rdata)]);
  const signature = sign("sha256", data, { key, dsaEncoding: "ieee-p1363" });
  return Buffer.concat([head, signature]);
}

/** Does this RRSIG RDATA hold for the set under the public key? Looks at the signature, not at its times. */
export function verifySet(set: SignedSet, rrsig: Uint8Array, signer: Uint8Array, key: KeyObject): boolean {
  const head = rrsig.subarray(0, 18 + signer.length);
  const ttl = new DataView(rrsig.buffer, rrsig.byteOffset).getUint32(4);
  const data = Buffer.concat([head, canonicalSet(set.owner, set.type, ttl, set.rdata)]);
  return verify("sha256", data, { key, dsaEncoding: "ieee-p1363" }, rrsig.subarray(head.length));
}
