import { counterIndex } from "../../core/counters.ts";
import { Class, Flag, Rcode, Type } from "../../protocols/dns/numbers.ts";
import { parseQuery, Query } from "../../protocols/dns/query.ts";
import { stringsRdata } from "../../protocols/dns/rdata.ts";
import { type Transport, writeBare, writeTemplate } from "../../protocols/dns/respond.ts";
import { type Template, TemplateBuilder } from "../../protocols/dns/template.ts";
import { Chain } from "./chain.ts";
import type { Decision, Guard } from "./guard.ts";
import type { Node } from "./node.ts";
import { apexAt, type Site } from "./site.ts";
import {
  BADCOOKIE,
  BADVERS,
  FORMERR,
  LIMITED,
  NOTIMP,
  NXDOMAIN,
  REFUSED,
  SILENT,
  type Tally,
  TRUNCATED,
  ZONE,
} from "./tally.ts";

/** ANY gets one small record instead of everything (RFC 8482 4.2). */
const anyAnswer: Template = new TemplateBuilder(new Uint8Array(1))
  .record("answers", "question", Type.HINFO, 3600, stringsRdata("RFC8482", ""))
  .build(Rcode.NOERROR);

/** u32 that stands for a client's address; asked for only when a scheduler hashes it. */
export type KeyOf = (address: string) => number;

/**
 * Answers messages: bytes in, bytes out, no socket. Lookup as in RFC 1034 4.3.2: the name itself, else the closest name
 * above it and its wildcard, else NXDOMAIN; REFUSED outside all zones. One question at a time.
 */
export class Answerer {
  private readonly query = new Query();
  private readonly site: Site;
  private readonly keyOf: KeyOf;
  private readonly tally: Tally;
  private readonly chain: Chain;
  private readonly guard: Guard;

  /** `tally` counts what no service counts. */
  constructor(site: Site, keyOf: KeyOf, tally: Tally, guard: Guard) {
    this.guard = guard;
    this.site = site;
    this.keyOf = keyOf;
    this.tally = tally;
    this.chain = new Chain(site);
  }

  /**
   * Writes the answer to `bytes[0..length)` into `out` (large enough for the transport); returns its length, 0 for a
   * message that must not be answered. Never throws, whatever the bytes.
   */
  answer(bytes: Uint8Array, length: number, client: string, transport: Transport, out: Uint8Array): number {
    const query = this.query;
    const verdict = parseQuery(query, bytes, length);
    if (verdict === "drop") {
      this.tally(SILENT);
      return 0;
    }
    const decision = this.guard.decide(query, client, transport);
    if (decision !== "answer") return this.turnAway(query, transport, out, decision);
    switch (verdict) {
      case "query": {
        const size = this.lookup(query, client, transport, out);
        if ((out[2]! & (Flag.TC >> 8)) !== 0) this.tally(TRUNCATED);
        return size;
      }
      case "cookie":
        return writeBare(out, query, transport, Rcode.NOERROR);
      case "formerr":
        return this.error(query, transport, out, Rcode.FORMERR, FORMERR);
      case "badvers":
        return this.error(query, transport, out, Rcode.BADVERS, BADVERS);
      default:
        return this.error(query, transport, out, Rcode.NOTIMP, NOTIMP);
    }
  }

  private turnAway(query: Query, transport: Transport, out: Uint8Array, decision: Decision): number {
    if (decision === "badcookie") return this.error(query, transport, out, Rcode.BADCOOKIE, BADCOOKIE);
    this.tally(LIMITED);
    return decision === "silent" ? 0 : writeBare(out, query, transport, Rcode.NOERROR, Flag.TC);
  }

  private error(query: Query, transport: Transport, out: Uint8Array, rcode: number, place: number): number {
    this.tally(place);
    return writeBare(out, query, transport, rcode);
  }

  private lookup(query: Query, client: string, transport: Transport, out: Uint8Array): number {
    if (query.class !== Class.IN) return this.error(query, transport, out, Rcode.REFUSED, REFUSED);
    if (query.type >= Type.TKEY || query.type === Type.OPT) {
      const rcode = metaRcode(query.type);
      if (rcode !== Rcode.NOERROR) return this.error(query, transport, out, rcode, META_PLACES[rcode]!);
    }
    const node = this.site.exact(query);
    if (node !== undefined) return this.atNode(node, query, client, transport, out);
    const encloser = this.site.encloser(query);
    if (encloser === undefined) return this.error(query, transport, out, Rcode.REFUSED, REFUSED);
    if (encloser.cut !== null || encloser.records?.has(Type.DNAME)) return this.follow(query, client, transport, out);
    if (encloser.wildcard !== null) return this.atNode(encloser.wildcard, query, client, transport, out);
    const { zone } = encloser;
    this.tally(NXDOMAIN);
    return writeTemplate(out, query, transport, zone.nxdomain, apexAt(query, zone));
  }

  private atNode(node: Node, query: Query, client: string, transport: Transport, out: Uint8Array): number {
    const { service } = node;
    const type = query.type;
    if (service !== null) {
      service.refresh();
      const { cells } = service;
      cells.add(-1, REQUESTS, 1);
      if (type === Type.A || type === Type.AAAA) {
        const set = type === Type.A ? service.v4 : service.v6;
        if (set.count > 0) {
          const key = service.needsKey ? this.keyOf(client) : 0;
          const length = service.write(out, query, transport, type === Type.AAAA, key);
          if (set.first >= 0) cells.add(set.first, REQUESTS, 1);
          return length;
        }
        if (service.rule === "servfail") {
          cells.add(-1, ERRORS, 1);
          return writeBare(out, query, transport, Rcode.SERVFAIL);
        }
      }
    }
    if (node.follows(type)) return this.follow(query, client, transport, out);
    if (service === null) this.tally(ZONE);
    return this.fixed(node, query, transport, out);
  }

  private follow(query: Query, client: string, transport: Transport, out: Uint8Array): number {
    this.tally(ZONE);
    return this.chain.answer(query, transport, out, () => this.keyOf(client));
  }

  private fixed(node: Node, query: Query, transport: Transport, out: Uint8Array): number {
    let { zone } = node;
    let template = (query.type === Type.ANY ? anyAnswer : node.answer(query.type)) ?? node.nodata ?? zone.nodata;
    if (query.type === Type.DS && query.labels === zone.labels) {
      const outer = this.site.outer(zone, query);
      if (outer !== null) {
        template = zone.parentDs === null ? outer.nodata : zone.parentDsAnswer;
        zone = outer;
      }
    }
    return writeTemplate(out, query, transport, template, apexAt(query, zone));
  }
}

const REQUESTS = counterIndex.requests;
const ERRORS = counterIndex.errors;

/** Where the errors of `metaRcode` are counted. */
const META_PLACES: Readonly<Record<number, number>> = {
  [Rcode.REFUSED]: REFUSED,
  [Rcode.FORMERR]: FORMERR,
  [Rcode.NOTIMP]: NOTIMP,
};

/** Types that are no records: transfers are refused, OPT and TSIG are no questions, the rest is not offered. */
function metaRcode(type: number): number {
  switch (type) {
    case Type.AXFR:
    case Type.IXFR:
      return Rcode.REFUSED;
    case Type.OPT:
    case Type.TSIG:
      return Rcode.FORMERR;
    case Type.TKEY:
    case Type.MAILA:
    case Type.MAILB:
      return Rcode.NOTIMP;
    default:
      return Rcode.NOERROR;
  }
}
