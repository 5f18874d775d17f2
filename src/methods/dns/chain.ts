import { counterIndex } from "../../core/counters.ts";
import { explanations } from "../../protocols/dns/explanation.ts";
import { MessageWriter } from "../../protocols/dns/message-writer.ts";
import { isWithin, parentName } from "../../protocols/dns/name.ts";
import { MAX_NAME, MAX_TTL, Rcode, Type } from "../../protocols/dns/numbers.ts";
import type { Query } from "../../protocols/dns/query.ts";
import { stringsRdata } from "../../protocols/dns/rdata.ts";
import type { Rdata, Section } from "../../protocols/dns/template.ts";
import type { Client } from "./client.ts";
import { Seal, typesAt } from "./dnssec/seal.ts";
import type { Asker } from "./dnssec/signature-budget.ts";
import type { Origin } from "./dnssec/zone-signing.ts";
import type { Node } from "./node.ts";
import type { Question } from "./question.ts";
import type { ServiceAnswers } from "./service-answers.ts";
import type { Site } from "./site.ts";
import { type Rrset, targetOf } from "./static-zone.ts";
import { followTargets, type TargetAddresses } from "./svcb-answers.ts";
import type { Zone } from "./zones.ts";

/** Most CNAME and DNAME that one question follows. */
const MOST_STEPS = 16;

/** Where a name leads (RFC 1034 4.3.2). `made`: by a wildcard. */
type Found =
  | { kind: "node"; node: Node; made: boolean }
  | { kind: "cut"; node: Node }
  | { kind: "dname"; set: Rrset; zone: Zone }
  | { kind: "nothing"; zone: Zone }
  | { kind: "foreign" };

/** ANY gets one small record instead of everything (RFC 8482 4.2). */
export const ANY_TTL = 3600;
export const anyRdata: Rdata = stringsRdata("RFC8482", "");

/**
 * Answers what is more than one set of records: aliases (CNAME, DNAME), delegations, and all that is signed. Aliases
 * are followed through all zones that are served here, to a service too: its addresses then stand in the scheduler's
 * order under the last name. Slower than prebuilt answers, and allocates.
 */
export class Chain {
  private readonly site: Site;
  private readonly writer = new MessageWriter();
  private readonly seal = new Seal();
  private query!: Query;
  private proven = false;
  private once = false;
  /** The DNAME that stand in the answer. */
  private readonly renamed = new Set<Rrset>();
  /** Records of a service that are not for the answer section. */
  private readonly scratch = new Uint8Array(65536);

  constructor(site: Site) {
    this.site = site;
  }

  /** Where the body of the last answer ends; 0: it hangs on turns or clients, and is good for once. */
  bodyEnd = 0;
  /** Whose lack of addresses the last answer tells of. */
  lacking: ServiceAnswers | null = null;

  /** Was the last answer withheld because too many signatures were asked for? */
  get spent(): boolean {
    return this.seal.spent;
  }

  /** Writes the answer to a question. Returns its length. */
  answer(question: Question, client: Client, asker: Asker): number {
    const length = this.compose(question, client, asker);
    if (this.once || this.seal.spent) this.bodyEnd = 0;
    else this.bodyEnd = this.writer.length;
    return length;
  }

  private compose({ out, query, transport }: Question, client: Client, asker: Asker): number {
    const { writer } = this;
    writer.begin(out, query, transport);
    this.query = query;
    this.proven = asker.proven;
    this.once = false;
    this.lacking = null;
    this.renamed.clear();
    this.seal.begin(query, writer, asker);
    let name = query.name();
    const met: Uint8Array[] = [];
    for (let step = 0; step <= MOST_STEPS; step++) {
      const found = this.find(name, query.type);
      if (found.kind === "foreign") return writer.finish(Rcode.NOERROR, true);
      if (found.kind === "cut") return this.refer(found.node);
      if (found.kind === "nothing") return this.negative(found.zone, Rcode.NXDOMAIN, name, [Type.NXNAME], null, "made");
      const next =
        found.kind === "dname"
          ? this.rename(name, found.set, found.zone, query.type)
          : this.atNode(found.node, name, query, client, found.made ? "made" : "own");
      if (!(next instanceof Uint8Array)) return next;
      // Round in a circle: each record stands in the answer once (RFC 2181 5).
      met.push(name);
      if (met.some((before) => equal(before, next))) break;
      name = next;
    }
    return writer.finish(Rcode.NOERROR, true);
  }

  /** Where a name leads for a question of a type. */
  find(name: Uint8Array, type: number): Found {
    const exact = this.site.at(name);
    if (exact !== undefined) {
      if (exact.cut === null || (exact.cut === exact && type === Type.DS))
        return { kind: "node", node: exact, made: false };
      return { kind: "cut", node: exact.cut };
    }
    for (let up = parentName(name); up !== null; up = parentName(up)) {
      const node = this.site.at(up);
      if (node === undefined) continue;
      if (node.cut !== null) return { kind: "cut", node: node.cut };
      const set = node.records?.get(Type.DNAME);
      if (set !== undefined) return { kind: "dname", set, zone: node.zone };
      return node.wildcard === null
        ? { kind: "nothing", zone: node.zone }
        : { kind: "node", node: node.wildcard, made: true };
    }
    return { kind: "foreign" };
  }

  /** The records at a name: the message's length, or the name that an alias leads to. */
  private atNode(node: Node, name: Uint8Array, query: Query, client: Client, origin: Origin): number | Uint8Array {
    const { type } = query;
    const { writer } = this;
    if (node.service !== null && (type === Type.A || type === Type.AAAA)) {
      const service = client.answersOf(node.service, type);
      service.refresh();
      this.once ||= node.service.steering !== null || this.lacking !== null;
      this.lacking = service;
      if (service.sizeOf(type === Type.AAAA) > 0) return this.steered(service, node.zone, name, type, client, origin);
      client.lacks(node.service, type);
      if (service.rule === "servfail") {
        service.counted(-1);
        service.cells.add(-1, counterIndex.errors, 1);
        this.once = true;
        query.explained = explanations.nobodyEligible;
        return writer.bare(Rcode.SERVFAIL);
      }
    }
    if (type === Type.DS && node.parent === null) {
      const outer = this.site.outerOf(node.zone);
      if (outer !== null) return this.delegation(outer, node.zone, name);
    }
    if (type === Type.ANY || ((type === Type.RRSIG || type === Type.NSEC) && this.seal.of(node.zone)))
      return this.meta(node, name, type, origin);
    const alias = type === Type.CNAME ? undefined : node.rrset(Type.CNAME);
    const set = alias ?? node.rrset(type);
    if (set === undefined) {
      const types = node.cut === null ? typesAt(node, type) : [Type.NS];
      return this.negative(node.zone, Rcode.NOERROR, name, types, node.service?.ttl ?? null, origin);
    }
    // It has led here.
    if (this.renamed.has(set)) return writer.finish(Rcode.NOERROR, true);
    const told = followTargets({ ...set, owner: name }, (n) => this.addressesOf(n, client), this.seal.of(node.zone));
    if (!this.put("answers", node.zone, told.set, origin)) return this.giveUp(Rcode.NOERROR);
    if (alias !== undefined) return targetOf(alias.rdata[0]!);
    if (node.follows(type)) for (const target of told.targets) this.addAddresses(target);
    return writer.finish(Rcode.NOERROR, true);
  }

  /** What a name in our zones is answered with to this client; null: no addresses of ours. */
  private addressesOf(name: Uint8Array, client: Client): TargetAddresses | null {
    const found = this.find(name, Type.A);
    if (found.kind !== "node") return null;
    const { node } = found;
    const service = node.service === null ? null : client.answersOf(node.service, null);
    this.once ||= service !== null;
    if (service === null) {
      const [v4, v6] = [node.rrset(Type.A), node.rrset(Type.AAAA)];
      const octets = (set: Rrset | undefined): Uint8Array[] => (set?.rdata ?? []).map(([part]) => part as Uint8Array);
      const ttl = Math.min(v4?.ttl ?? MAX_TTL, v6?.ttl ?? MAX_TTL);
      return v4 || v6 ? { name, v4: octets(v4), v6: octets(v6), ttl, steered: false } : null;
    }
    service.refresh();
    const { scratch } = this;
    const drawn = (v6: boolean): Uint8Array[] => {
      if (service.sizeOf(v6) === 0) return [];
      const [size, length] = v6 ? [28, 16] : [16, 4];
      const count = service.writeRecords(scratch, 0, v6, client.keyFor(service));
      return Array.from({ length: count }, (_, i) => scratch.slice((i + 1) * size - length, (i + 1) * size));
    };
    return { name, v4: drawn(false), v6: drawn(true), ttl: service.servedTtl, steered: true };
  }

  /** Addresses of a target beside the answer (RFC 9460 4.1), whole sets, as far as there is room. */
  private addAddresses({ name, v4, v6, ttl }: TargetAddresses): void {
    const { writer } = this;
    const { zone } = this.site.at(name) ?? {};
    for (const [type, all] of [
      [Type.A, v4],
      [Type.AAAA, v6],
    ] as const) {
      const each = type === Type.A ? 16 : 28;
      const rdata = all.map((octets) => [octets]);
      const seal = zone && this.seal.of(zone) ? name.length + zone.apex.length + 92 : 0;
      if (all.length === 0 || writer.room < name.length + all.length * each + seal) continue;
      for (const one of rdata) writer.record("additional", name, type, ttl, one);
      if (zone) this.seal.addIfEasy("additional", zone, { owner: name, type, ttl, rdata });
    }
  }

  /** A service's addresses, in the scheduler's order; signed as a set, which has none (RFC 4034 6.3). */
  private steered(
    service: ServiceAnswers,
    zone: Zone,
    name: Uint8Array,
    type: number,
    client: Client,
    origin: Origin,
  ): number {
    const { writer } = this;
    this.once = true;
    const v6 = type === Type.AAAA;
    if (service.sizeOf(v6) > writer.room) return this.giveUp(Rcode.NOERROR);
    const size = v6 ? 28 : 16;
    const rdata: Rdata[] = [];
    const written = writer.prebuilt(name, size, (out, at) => {
      const count = service.writeRecords(out, at, v6, client.keyFor(service));
      for (let i = 1; i <= count; i++)
        rdata.push([Uint8Array.from(out.subarray(at + i * size - (v6 ? 16 : 4), at + i * size))]);
      return count;
    });
    if (!written) return this.giveUp(Rcode.NOERROR);
    if (!this.seal.add("answers", zone, { owner: name, type, ttl: service.servedTtl, rdata }, undefined, origin))
      return this.giveUp(Rcode.NOERROR);
    service.counted((v6 ? service.v6 : service.v4).first);
    return writer.finish(Rcode.NOERROR, true);
  }

  /**
   * ANY: the alias, beside which nothing else may be (RFC 8482 4.2), or one small record. RRSIG, NSEC: the one NSEC of a name
   * that is never kept but made (RFC 8482 4.1, 7).
   */
  private meta(node: Node, name: Uint8Array, type: number, origin: Origin): number {
    const { zone } = node;
    const alias = node.rrset(Type.CNAME) ?? { type: Type.HINFO, ttl: ANY_TTL, rdata: [anyRdata] };
    const set = type === Type.ANY ? { ...alias, owner: name } : this.seal.nsec(zone, name, typesAt(node, 0));
    const fits =
      type === Type.RRSIG
        ? this.seal.add("answers", zone, set, set.ttl, origin)
        : this.put("answers", zone, set, origin);
    return fits ? this.writer.finish(Rcode.NOERROR, true) : this.giveUp(Rcode.NOERROR);
  }

  /** DS of a zone that is here too, out of the zone around it (RFC 4035 3.1.4.1). */
  private delegation(outer: Zone, inner: Zone, name: Uint8Array): number {
    if (inner.parentDs === null) return this.negative(outer, Rcode.NOERROR, name, [Type.NS], null, "own");
    const fits = this.put("answers", outer, { ...inner.parentDs, owner: name }, "own");
    return fits ? this.writer.finish(Rcode.NOERROR, true) : this.giveUp(Rcode.NOERROR);
  }

  /** DNAME (RFC 6672 3.2): itself, and the CNAME it makes of this name, with its TTL; that has no signature (5.3.1). */
  private rename(name: Uint8Array, set: Rrset, zone: Zone, type: number): number | Uint8Array {
    const { writer } = this;
    const target = targetOf(set.rdata[0]!);
    const prefix = name.subarray(0, name.length - set.owner.length);
    // Each record stands in the answer once (RFC 2181 5), however often it leads on.
    if (!this.renamed.has(set) && !this.put("answers", zone, set, "own")) return this.giveUp(Rcode.NOERROR);
    this.renamed.add(set);
    if (prefix.length + target.length > MAX_NAME) return writer.finish(Rcode.YXDOMAIN, true);
    const next = Uint8Array.from([...prefix, ...target]);
    if (!writer.record("answers", name, Type.CNAME, set.ttl, [{ name: next }])) return this.giveUp(Rcode.NOERROR);
    return type === Type.CNAME ? writer.finish(Rcode.NOERROR, true) : next;
  }

  /**
   * A referral: NS of the cut, its DS or the proof that there is none (RFC 4035 3.1.4), and the addresses without which
   * it could not be followed (RFC 9471: those must fit).
   */
  private refer(cut: Node): number {
    const { writer } = this;
    const { zone } = cut;
    const set = cut.records!.get(Type.NS)!;
    const authoritative = writer.answers > 0;
    for (const rdata of set.rdata)
      if (!writer.record("authority", set.owner, Type.NS, set.ttl, rdata))
        return this.giveUp(Rcode.NOERROR, authoritative);
    if (this.seal.of(zone)) {
      const ds = cut.records!.get(Type.DS);
      const proof =
        ds === undefined
          ? this.seal.deny(zone, set.owner, [Type.NS], negativeTtl(zone, null), "own")
          : this.put("authority", zone, ds, "own");
      if (!proof) return this.giveUp(Rcode.NOERROR, authoritative);
    }
    const targets = set.rdata.map(targetOf);
    const inside = targets.filter((target) => isWithin(target, set.owner));
    for (const target of [...inside, ...targets.filter((t) => !inside.includes(t))]) {
      const records = this.site.at(target)?.records;
      for (const type of [Type.A, Type.AAAA]) {
        const glue = records?.get(type);
        for (const rdata of glue?.rdata ?? []) {
          const fits = writer.record("additional", target, type, glue!.ttl, rdata);
          if (!fits && inside.includes(target)) return this.giveUp(Rcode.NOERROR, authoritative);
        }
      }
    }
    return writer.finish(Rcode.NOERROR, authoritative);
  }

  /**
   * No such name, or no such type there: SOA in authority (RFC 2308 2), also at the end of a chain. `types`: what a
   * proof says of the name.
   */
  private negative(
    zone: Zone,
    rcode: number,
    name: Uint8Array,
    types: readonly number[],
    most: number | null,
    origin: Origin,
  ): number {
    const { soaSet } = zone;
    const ttl = negativeTtl(zone, most);
    const given = this.seal.rcode(zone, rcode);
    const fits =
      this.writer.record("authority", zone.apex, Type.SOA, ttl, soaSet.rdata[0]!) &&
      this.seal.add("authority", zone, soaSet, ttl) &&
      this.seal.deny(zone, name, types, ttl, origin);
    return fits ? this.writer.finish(given, true) : this.giveUp(given);
  }

  /** A whole set and its signature; false when it cannot be. */
  private put(section: Section, zone: Zone, set: Rrset, origin: Origin): boolean {
    return (
      set.rdata.every((rdata) => this.writer.record(section, set.owner, set.type, set.ttl, rdata)) &&
      this.seal.add(section, zone, set, set.ttl, origin)
    );
  }

  /**
   * It does not fit: the client asks over TCP. So it does when no more can be signed now for clients who may be forged;
   * one that has been to TCP is told to come again (SERVFAIL).
   */
  private giveUp(rcode: number, authoritative = true): number {
    if (this.seal.spent) this.query.explained = explanations.tooManySignatures;
    if (this.seal.spent && this.proven) return this.writer.bare(Rcode.SERVFAIL);
    return this.writer.truncate(rcode, authoritative);
  }
}

const negativeTtl = ({ soaSet, soa }: Zone, most: number | null): number =>
  Math.min(soaSet.ttl, soa.minimum, most ?? Number.POSITIVE_INFINITY);

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((octet, i) => octet === b[i]);
