import { createHash, createPrivateKey, type KeyObject } from "node:crypto";
import { mix32 } from "../../../core/hash.ts";
import { canonicalSet } from "../../../protocols/dns/dnssec/canonical.ts";
import { type SignedSet, signSet } from "../../../protocols/dns/dnssec/rrsig.ts";
import { Type } from "../../../protocols/dns/numbers.ts";
import type { Rrset } from "../static-zone.ts";
import { BoundedCache } from "./bounded-cache.ts";
import type { ZoneSecrets } from "./secrets.ts";
import { type Asker, SignatureBudgets } from "./signature-budget.ts";
import { isAhead, RENEWAL, SKEW } from "./terms.ts";

/**
 * Of what a signature is. `own`: sets of names that exist, as many as there are. `made`: of names that clients make up
 * (denials, wildcards): no end to them, and so a cache and a budget apart.
 */
export type Origin = "own" | "made";

/** One signature, when it was made, is to be made anew and ends (seconds since 1970). `signer`: the key that made it. */
interface Cached {
  rrsig: Uint8Array;
  signer: number;
  signedAt: number;
  renewAt: number;
  endsAt: number;
}

/** Longest set that is its own key in the caches, octets; a longer one is kept by its digest. */
const LONG = 512;

/** What a signature is kept by: collisions would hand one set the signature of another. */
function cacheKey(zone: number, octets: Uint8Array): string {
  const short = octets.length <= LONG;
  const kept = short ? octets : createHash("sha256").update(octets).digest();
  const text = Buffer.from(kept.buffer, kept.byteOffset, kept.length).toString("latin1");
  return `${zone}${short ? " " : "#"}${text}`;
}

/** What all zones of a worker share. */
export class SigningRoom {
  /** Seconds. */
  readonly validity: number;
  /** Seconds since 1970. */
  readonly clock: () => number;
  readonly caches: Readonly<Record<Origin, BoundedCache<Cached>>>;
  readonly budgets: SignatureBudgets;
  /** Signatures made. */
  made = 0;
  /** Keys that have signed, one after the other: a tag may come again with another key. */
  signers = 0;

  constructor(
    { validity, signatures, cache }: { validity: number; signatures: number; cache: number },
    now: () => number,
    seed: number,
    clock = () => Math.floor(Date.now() / 1000),
  ) {
    this.validity = validity;
    this.clock = clock;
    this.caches = { own: new BoundedCache(cache), made: new BoundedCache(cache) };
    this.budgets = new SignatureBudgets(signatures, now, seed);
  }
}

/** The signing of one zone in this worker. */
export class ZoneSigning {
  readonly apex: Uint8Array;
  /** DNSKEY, CDS, CDNSKEY: signed where the key-signing key is. */
  sets: Rrset[] = [];
  /** What the parent should have. */
  ds: Uint8Array[] = [];
  private readonly room: SigningRoom;
  private readonly number: number;
  private key!: KeyObject;
  private tag = 0;
  private signer = 0;
  private privateKey = "";
  private ready = new Map<number, Uint8Array[]>();

  /** `number`: of the zone, so that signatures of two zones over one name differ in the caches. */
  constructor(apex: Uint8Array, number: number, room: SigningRoom) {
    this.apex = apex;
    this.number = number;
    this.room = room;
  }

  /** Other keys, or other signatures of theirs. */
  take({ ttl, sets, ds, zsk }: ZoneSecrets): void {
    const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));
    this.sets = sets.map(({ type, rdata }) => ({ owner: this.apex, type, ttl, rdata: rdata.map((r) => [bytes(r)]) }));
    this.ready = new Map(sets.map(({ type, rrsigs }) => [type, rrsigs.map(bytes)]));
    this.ds = ds.map(bytes);
    this.tag = zsk.tag;
    if (zsk.privateKey === this.privateKey) return;
    this.privateKey = zsk.privateKey;
    this.key = createPrivateKey(zsk.privateKey);
    this.signer = ++this.room.signers;
  }

  /** RRSIG RDATA for a set of this zone; null: too many are asked for now. */
  sign(set: SignedSet, origin: Origin, asker: Asker): Uint8Array[] | null {
    const ready = this.isKeySet(set) ? this.ready.get(set.type) : undefined;
    if (ready !== undefined) return ready;
    const { room } = this;
    const cache = room.caches[origin];
    const { octets, key, known, good } = this.find(set, cache);
    if (good) return [known!.rrsig];
    // One that should be made anew, or with another key, holds still.
    if (!room.budgets.take(origin === "made", asker)) return this.holds(known) ? [known.rrsig] : null;
    return [this.make(set, octets, key, cache)];
  }

  /** Makes the signature of a set that nobody has asked for yet, if there is none; was one made? */
  signAhead(set: SignedSet): boolean {
    const cache = this.room.caches.own;
    const { octets, key, good } = this.find(set, cache);
    if (!good) this.make(set, octets, key, cache);
    return !good;
  }

  /** What is kept for a set; `good`: made with the key that signs now, and not to be made anew yet. */
  private find(set: SignedSet, cache: BoundedCache<Cached>) {
    const octets = canonicalSet(set.owner, set.type, set.ttl, set.rdata);
    const key = cacheKey(this.number, octets);
    const known = cache.get(key);
    const good = this.holds(known) && known.signer === this.signer && this.room.clock() < known.renewAt;
    return { octets, key, known, good };
  }

  /** Is it a signature that has begun to hold, and has not ended? */
  private holds(known: Cached | undefined): known is Cached {
    const now = this.room.clock();
    return known !== undefined && now < known.endsAt && !isAhead(known.signedAt, now);
  }

  /** Signs, and keeps it. `octets`: the set in canonical form, `key`: what it is kept by. */
  private make(set: SignedSet, octets: Uint8Array, key: string, cache: BoundedCache<Cached>): Uint8Array {
    const { validity, clock } = this.room;
    const now = clock();
    // Spread by what is signed, so that what was asked for in one minute is not renewed in one minute.
    const jitter = mix32(octets.reduce((h, octet) => Math.imul(h ^ octet, 0x01000193), this.tag)) % (validity >> 3);
    const expiration = now + validity - Math.abs(jitter);
    const terms = { signer: this.apex, tag: this.tag, inception: now - SKEW, expiration };
    const rrsig = Uint8Array.from(signSet(set, terms, this.key));
    this.room.made++;
    const renewAt = expiration - Math.floor(validity / RENEWAL);
    cache.set(key, { rrsig, signer: this.signer, signedAt: now, renewAt, endsAt: expiration });
    return rrsig;
  }

  private isKeySet({ owner, type }: SignedSet): boolean {
    return (type === Type.DNSKEY || type === Type.CDS || type === Type.CDNSKEY) && owner.length === this.apex.length;
  }
}
