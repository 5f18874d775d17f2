import { flatRdata } from "../../../protocols/dns/dnssec/canonical.ts";
import { compactNsec } from "../../../protocols/dns/dnssec/nsec.ts";
import type { MessageWriter } from "../../../protocols/dns/message-writer.ts";
import { Rcode, Type } from "../../../protocols/dns/numbers.ts";
import type { Query } from "../../../protocols/dns/query.ts";
import type { Section } from "../../../protocols/dns/template.ts";
import type { Node } from "../node.ts";
import type { Rrset } from "../static-zone.ts";
import type { Zone } from "../zones.ts";
import type { Asker } from "./signature-budget.ts";
import type { Origin } from "./zone-signing.ts";

/**
 * Adds to an answer under way what DNSSEC asks for when the client can take it (RFC 4035 3.1): RRSIG of what a signed
 * zone says, and the proof of what is not there. Denial is compact (RFC 9824): one NSEC that speaks of the queried name
 * alone. What a wildcard gives is signed under the queried name, and so needs no proof that nothing closer exists.
 */
export class Seal {
  private query!: Query;
  private writer!: MessageWriter;
  private asker!: Asker;
  private on = false;
  /** No signature was to be had: too many are asked for now. */
  spent = false;

  /** An answer begins. */
  begin(query: Query, writer: MessageWriter, asker: Asker): void {
    this.query = query;
    this.writer = writer;
    this.asker = asker;
    this.on = query.dnssecOk;
    this.spent = false;
  }

  /** Are answers out of this zone to be sealed? */
  of(zone: Zone): boolean {
    return this.on && zone.signing !== null;
  }

  /** RRSIG of a set that was written; true at once where none is due. False: no room, or `spent`. */
  add(section: Section, zone: Zone, set: Rrset, shown = set.ttl, origin: Origin = "own"): boolean {
    if (!this.of(zone)) return true;
    const { owner, type, ttl } = set;
    const rrsigs = zone.signing!.sign({ owner, type, ttl, rdata: set.rdata.map(flatRdata) }, origin, this.asker);
    if (rrsigs === null) {
      this.spent = true;
      return false;
    }
    return rrsigs.every((rrsig) => this.writer.record(section, owner, Type.RRSIG, shown, [rrsig]));
  }

  /** As `add`, for what the answer can do without. */
  addIfEasy(section: Section, zone: Zone, set: Rrset): void {
    this.add(section, zone, set);
    this.spent = false;
  }

  /** The one NSEC of `owner`. `types`: what is there, NSEC and RRSIG not counted. */
  nsec(zone: Zone, owner: Uint8Array, types: readonly number[], ttl = Math.min(zone.soaTtl, zone.soa.minimum)): Rrset {
    const rdata = [[compactNsec(owner, [...types, Type.RRSIG, Type.NSEC])]];
    return { owner, type: Type.NSEC, ttl, rdata };
  }

  /** That NSEC in the answer, with its signature. */
  deny(zone: Zone, owner: Uint8Array, types: readonly number[], ttl: number, origin: Origin): boolean {
    if (!this.of(zone)) return true;
    const set = this.nsec(zone, owner, types, ttl);
    if (!this.writer.record("authority", owner, Type.NSEC, ttl, set.rdata[0]!)) return false;
    return this.add("authority", zone, set, ttl, origin);
  }

  /** RCODE of what does not exist: NOERROR with NXNAME in the proof, unless the client takes NXDOMAIN (RFC 9824 5). */
  rcode(zone: Zone, rcode: number): number {
    return rcode === Rcode.NXDOMAIN && this.of(zone) && !this.query.compactOk ? Rcode.NOERROR : rcode;
  }
}

/**
 * Types that a proof says are at a name. A service may have addresses of both kinds at any time: a proof about another
 * type must not deny them to whoever keeps it (RFC 8198), so that it lists all but the one that was asked for.
 */
export function typesAt(node: Node, asked: number): number[] {
  const types = node.records === null ? [] : [...node.records.keys()];
  if (node.parent === null) types.push(Type.SOA, Type.NS);
  if (node.service !== null) types.push(Type.A, Type.AAAA);
  return types.filter((type) => type !== asked);
}
