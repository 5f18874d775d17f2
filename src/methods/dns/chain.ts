import { counterIndex } from "../../core/counters.ts";
import { MessageWriter } from "../../protocols/dns/message-writer.ts";
import { isWithin, parentName } from "../../protocols/dns/name.ts";
import { MAX_NAME, Rcode, Type } from "../../protocols/dns/numbers.ts";
import type { Query } from "../../protocols/dns/query.ts";
import type { Transport } from "../../protocols/dns/respond.ts";
import type { Client } from "./client.ts";
import type { Node } from "./node.ts";
import type { Site } from "./site.ts";
import { type Rrset, targetOf } from "./static-zone.ts";
import type { Zone } from "./zones.ts";

/** Most CNAME and DNAME that one question follows. */
const MOST_STEPS = 16;

/** Where a name leads (RFC 1034 4.3.2). */
type Found =
  | { kind: "node"; node: Node }
  | { kind: "cut"; node: Node }
  | { kind: "dname"; set: Rrset }
  | { kind: "nothing"; zone: Zone }
  | { kind: "foreign" };

/**
 * Answers what is more than one set of records: aliases (CNAME, DNAME) and delegations. Aliases are followed through
 * all zones that are served here, to a service too: its addresses then stand in the scheduler's order under the last
 * name. Slower than prebuilt answers, and allocates.
 */
export class Chain {
  private readonly site: Site;
  private readonly writer = new MessageWriter();

  constructor(site: Site) {
    this.site = site;
  }

  /** Writes the answer to a question that is or passes an alias or a delegation. Returns its length. */
  answer(query: Query, transport: Transport, out: Uint8Array, client: Client): number {
    const { writer } = this;
    writer.begin(out, query, transport);
    let name = query.name();
    for (let step = 0; step <= MOST_STEPS; step++) {
      const found = this.find(name, query.type);
      if (found.kind === "foreign") return writer.finish(Rcode.NOERROR, true);
      if (found.kind === "cut") return this.refer(found.node);
      if (found.kind === "nothing") return this.negative(found.zone, Rcode.NXDOMAIN, null);
      const next =
        found.kind === "dname"
          ? this.rename(name, found.set, query.type)
          : this.atNode(found.node, name, query, client);
      if (!(next instanceof Uint8Array)) return next;
      // An alias of itself, or of what a DNAME gives for itself.
      if (equal(next, name)) break;
      name = next;
    }
    return writer.finish(Rcode.NOERROR, true);
  }

  /** Where a name leads for a question of a type. */
  find(name: Uint8Array, type: number): Found {
    const exact = this.site.at(name);
    if (exact !== undefined) {
      if (exact.cut === null || (exact.cut === exact && type === Type.DS)) return { kind: "node", node: exact };
      return { kind: "cut", node: exact.cut };
    }
    for (let up = parentName(name); up !== null; up = parentName(up)) {
      const node = this.site.at(up);
      if (node === undefined) continue;
      if (node.cut !== null) return { kind: "cut", node: node.cut };
      const set = node.records?.get(Type.DNAME);
      if (set !== undefined) return { kind: "dname", set };
      return node.wildcard === null ? { kind: "nothing", zone: node.zone } : { kind: "node", node: node.wildcard };
    }
    return { kind: "foreign" };
  }

  /** The records at a name: the message's length, or the name that an alias leads to. */
  private atNode(node: Node, name: Uint8Array, query: Query, client: Client): number | Uint8Array {
    const { type } = query;
    const { writer } = this;
    if (node.service !== null && (type === Type.A || type === Type.AAAA)) {
      const service = client.answersOf(node.service);
      service.refresh();
      const size = service.sizeOf(type === Type.AAAA);
      if (size > writer.room) return writer.truncate(Rcode.NOERROR);
      if (size > 0) {
        const v6 = type === Type.AAAA;
        writer.prebuilt(name, v6 ? 28 : 16, (out, at) => service.writeRecords(out, at, v6, client.keyFor(service)));
        service.counted((v6 ? service.v6 : service.v4).first);
        return writer.finish(Rcode.NOERROR, true);
      }
      if (service.rule === "servfail") {
        service.counted(-1);
        service.cells.add(-1, counterIndex.errors, 1);
        return writer.finish(Rcode.SERVFAIL, false);
      }
    }
    const alias = type === Type.CNAME ? undefined : node.rrset(Type.CNAME);
    const set = alias ?? node.rrset(type);
    if (set === undefined) return this.negative(node.zone, Rcode.NOERROR, node.service?.ttl ?? null);
    for (const rdata of set.rdata)
      if (!writer.record("answers", name, set.type, set.ttl, rdata)) return writer.truncate(Rcode.NOERROR);
    return alias === undefined ? writer.finish(Rcode.NOERROR, true) : targetOf(alias.rdata[0]!);
  }

  /** DNAME (RFC 6672 3.2): itself, and the CNAME it makes of this name, with its TTL. */
  private rename(name: Uint8Array, set: Rrset, type: number): number | Uint8Array {
    const { writer } = this;
    const target = targetOf(set.rdata[0]!);
    const prefix = name.subarray(0, name.length - set.owner.length);
    if (!writer.record("answers", set.owner, Type.DNAME, set.ttl, set.rdata[0]!)) return writer.truncate(Rcode.NOERROR);
    if (prefix.length + target.length > MAX_NAME) return writer.finish(Rcode.YXDOMAIN, true);
    const next = Uint8Array.from([...prefix, ...target]);
    if (!writer.record("answers", name, Type.CNAME, set.ttl, [{ name: next }])) return writer.truncate(Rcode.NOERROR);
    return type === Type.CNAME ? writer.finish(Rcode.NOERROR, true) : next;
  }

  /** A referral: NS of the cut, and the addresses without which it could not be followed (RFC 9471: those must fit). */
  private refer(cut: Node): number {
    const { writer } = this;
    const set = cut.records!.get(Type.NS)!;
    const authoritative = writer.answers > 0;
    for (const rdata of set.rdata)
      if (!writer.record("authority", set.owner, Type.NS, set.ttl, rdata)) return writer.truncate(Rcode.NOERROR);
    const targets = set.rdata.map(targetOf);
    const inside = targets.filter((target) => isWithin(target, set.owner));
    for (const target of [...inside, ...targets.filter((t) => !inside.includes(t))]) {
      const records = this.site.at(target)?.records;
      for (const type of [Type.A, Type.AAAA]) {
        const glue = records?.get(type);
        for (const rdata of glue?.rdata ?? []) {
          const fits = writer.record("additional", target, type, glue!.ttl, rdata);
          if (!fits && inside.includes(target)) return writer.truncate(Rcode.NOERROR);
        }
      }
    }
    return writer.finish(Rcode.NOERROR, authoritative);
  }

  /** No such name, or no such type there: SOA in authority (RFC 2308 2), also at the end of a chain. */
  private negative(zone: Zone, rcode: number, most: number | null): number {
    const { soaSet, soa } = zone;
    const ttl = Math.min(soaSet.ttl, soa.minimum, most ?? Number.POSITIVE_INFINITY);
    if (!this.writer.record("authority", zone.apex, Type.SOA, ttl, soaSet.rdata[0]!))
      return this.writer.truncate(rcode);
    return this.writer.finish(rcode, true);
  }
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((octet, i) => octet === b[i]);
