import { counterIndex } from "../../core/counters.ts";
import type { ClientAddress } from "../../geo/prefix.ts";
import { explanations } from "../../protocols/dns/explanation.ts";
import { wireToName } from "../../protocols/dns/name.ts";
import { Class, Flag, Rcode, Type } from "../../protocols/dns/numbers.ts";
import { parseQuery, readStrange, type Verdict } from "../../protocols/dns/query.ts";
import { bareLength, type Transport, writeTemplate } from "../../protocols/dns/respond.ts";
import { type Template, TemplateBuilder } from "../../protocols/dns/template.ts";
import { checkTsig, TsigError, type TsigKey } from "../../protocols/dns/tsig.ts";
import { ANY_TTL, anyRdata, Chain } from "./chain.ts";
import type { Client } from "./client.ts";
import { SealedAnswers } from "./dnssec/sealed-answers.ts";
import type { Decision, Guard } from "./guard.ts";
import type { Node } from "./node.ts";
import type { DnsSettings } from "./options.ts";
import type { Lesson } from "./prepared/prepared-answers.ts";
import { Question } from "./question.ts";
import { apexAt, type Site } from "./site.ts";
import {
  BADCOOKIE,
  BADTSIG,
  BADVERS,
  FORMERR,
  LIMITED,
  NOTIMP,
  NXDOMAIN,
  REFUSED,
  SILENT,
  type Tally,
  TRUNCATED,
  UNSIGNED,
  ZONE,
} from "./tally.ts";
import { type Messages, TRANSFER, Transfers, tsigKeys } from "./transfers.ts";
import type { Why } from "./why.ts";
import type { Zone } from "./zones.ts";

const anyAnswer: Template = new TemplateBuilder(new Uint8Array(1))
  .record("answers", "question", Type.HINFO, ANY_TTL, anyRdata)
  .build(Rcode.NOERROR);

/**
 * Answers messages: bytes in, bytes out, no socket. Lookup as in RFC 1034 4.3.2: the name itself, else the closest name
 * above it and its wildcard, else NXDOMAIN; REFUSED outside all zones. One question at a time.
 */
export class Answerer {
  private readonly question = new Question();
  private readonly site: Site;
  private readonly client: Client;
  private readonly tally: Tally;
  private readonly chain: Chain;
  private readonly guard: Guard;
  private readonly transfers: Transfers;
  private readonly keys: readonly TsigKey[];
  private readonly kept: SealedAnswers;
  /** Says why names are answered as they are; null: to nobody. */
  why: Why | null = null;
  /** What follows when `answer` gives `TRANSFER`. */
  transfer: Messages | null = null;

  /** `tally` counts what no service counts. */
  constructor(site: Site, client: Client, tally: Tally, guard: Guard, settings: DnsSettings) {
    this.transfers = new Transfers(site, settings);
    this.keys = tsigKeys(settings);
    this.kept = new SealedAnswers(settings.dnssec?.cache ?? 0);
    this.guard = guard;
    this.site = site;
    this.client = client;
    this.tally = tally;
    this.chain = new Chain(site);
  }

  /**
   * Writes the answer to `bytes[0..length)` into `out` (large enough for the transport); returns its length, 0 for a
   * message that must not be answered, `TRANSFER` (over TCP alone) for the messages of `transfer`. Never throws, whatever the bytes.
   */
  answer(bytes: Uint8Array, length: number, client: ClientAddress, transport: Transport, out: Uint8Array): number {
    const { question } = this;
    const { query } = question;
    const verdict = this.begin(bytes, length, client, transport, out);
    if (verdict === "drop") {
      this.tally(SILENT);
      return 0;
    }
    if (verdict === "notimp" || verdict === "formerr") readStrange(query, bytes, length);
    const decision = this.guard.decide(query, client, transport);
    if (query.tsigAt > 0) return this.withTsig(question, verdict, decision);
    return decision === "answer" ? this.byVerdict(question, verdict) : this.turnAway(question, decision);
  }

  /** What is done instead of answering a query that is right in all else; as `answer`. */
  withhold(
    decision: Decision,
    bytes: Uint8Array,
    length: number,
    client: ClientAddress,
    transport: Transport,
    out: Uint8Array,
  ): number {
    this.begin(bytes, length, client, transport, out);
    return this.turnAway(this.question, decision);
  }

  private begin(
    bytes: Uint8Array,
    length: number,
    client: ClientAddress,
    transport: Transport,
    out: Uint8Array,
  ): Verdict {
    const { question } = this;
    question.length = length;
    question.client = client;
    question.transport = transport;
    question.out = out;
    question.session = null;
    question.node = null;
    return parseQuery(question.query, bytes, length);
  }

  /** What the last answer hangs on; null: on the client, on time, or on other names. */
  get lesson(): Lesson | null {
    const { node, query } = this.question;
    if (node === null || node.follows(query.type) || query.type === Type.ANY) return null;
    // Of an apex's DS the zone around tells.
    if (query.type === Type.DS && node.parent === null) return null;
    const { service } = node;
    const addresses = service !== null && (query.type === Type.A || query.type === Type.AAAA);
    if (addresses && (service.steering !== null || service.needsKey)) return null;
    return { service, addresses, signed: node.zone.signing !== null };
  }

  /**
   * A signed message gets a signed answer, of whatever kind; one that is not signed right gets nothing else (RFC 8945 5.2).
   * A right signature proves who asks, so that such a client is not turned away: it could not believe it, unsigned.
   */
  private withTsig(question: Question, verdict: Verdict, decision: Decision): number {
    const { query, length, transport, out } = question;
    const checked = checkTsig(query.bytes, query.tsigAt, length, this.keys, Math.floor(Date.now() / 1000));
    if (decision !== "answer" && checked?.error !== TsigError.NONE) return this.turnAway(question, decision);
    if (checked === null) return this.error(question, Rcode.FORMERR, FORMERR);
    const { error, session } = checked;
    // Names of keys and algorithms that nobody has are as long as the client likes, and come back.
    if (bareLength(query, transport) + session.size > out.length) return this.error(question, Rcode.FORMERR, FORMERR);
    query.reserved = session.size;
    if (error !== TsigError.NONE) return session.sign(out, this.error(question, Rcode.NOTAUTH, BADTSIG));
    question.session = session;
    this.guard.proven = true;
    const size = this.byVerdict(question, verdict);
    return size > 0 ? session.sign(out, size) : size;
  }

  private byVerdict(question: Question, verdict: Verdict): number {
    const { query, out } = question;
    switch (verdict) {
      case "query": {
        if (!this.client.begin(query, question.client)) return this.error(question, Rcode.FORMERR, FORMERR);
        if (query.class === Class.IN && (query.type === Type.AXFR || query.type === Type.IXFR))
          return this.transferred(question);
        const size = this.lookup(question);
        if ((out[2]! & (Flag.TC >> 8)) !== 0) this.tally(TRUNCATED);
        return size;
      }
      case "cookie":
        return question.bare(Rcode.NOERROR);
      case "formerr":
        return this.error(question, Rcode.FORMERR, FORMERR);
      case "badvers":
        return this.error(question, Rcode.BADVERS, BADVERS);
      default:
        return this.error(question, Rcode.NOTIMP, NOTIMP);
    }
  }

  /** AXFR, IXFR: a message, or `TRANSFER` with the messages in `transfer`. */
  private transferred(question: Question): number {
    const made = this.transfers.answer(question);
    if (typeof made !== "number") {
      this.transfer = made;
      this.tally(ZONE);
      return TRANSFER;
    }
    if ((question.out[3]! & 15) === Rcode.REFUSED) this.tally(REFUSED);
    return made;
  }

  private turnAway(question: Question, decision: Decision): number {
    if (decision === "badcookie") return this.error(question, Rcode.BADCOOKIE, BADCOOKIE);
    this.tally(LIMITED);
    return decision === "silent" ? 0 : question.bare(Rcode.NOERROR, Flag.TC);
  }

  private error(question: Question, rcode: number, place: number): number {
    this.tally(place);
    return question.bare(rcode);
  }

  private lookup(question: Question): number {
    const { query } = question;
    if (query.class !== Class.IN) return this.otherClass(question);
    if (query.type >= Type.NXNAME || query.type === Type.OPT) {
      const rcode = metaRcode(query.type);
      if (query.type === Type.NXNAME) query.explained = explanations.invalidType;
      if (rcode !== Rcode.NOERROR) return this.error(question, rcode, META_PLACES[rcode]!);
    }
    const node = this.site.exact(query);
    if (node !== undefined && query.dnssecOk && this.speaker(node, query.type).signing !== null)
      return this.sealed(question, node, true);
    if (node !== undefined) {
      question.node = node;
      return this.atNode(question, node);
    }
    const encloser = this.site.encloser(query);
    if (encloser === undefined) {
      query.explained = explanations.notAuthoritative;
      return this.error(question, Rcode.REFUSED, REFUSED);
    }
    const followed = encloser.cut !== null || encloser.records?.has(Type.DNAME);
    if (encloser.zone.signing !== null && query.dnssecOk)
      return this.sealed(question, followed ? encloser : encloser.wildcard, false);
    if (followed) return this.follow(question);
    if (encloser.wildcard !== null) return this.atNode(question, encloser.wildcard);
    const { zone } = encloser;
    this.tally(NXDOMAIN);
    return this.template(question, zone.nxdomain, zone);
  }

  /** Nothing is there in other classes, but the reasons of our answers, for those who may know them. */
  private otherClass(question: Question): number {
    const { why, client } = this;
    const { query } = question;
    if (query.class === Class.CH && query.type === Type.TXT && why?.allowed(client.asker)) {
      const service = (this.site.exact(query) ?? this.site.encloser(query)?.wildcard)?.service;
      if (service) return why.answer(question, service.name, wireToName(query.name()), client.name);
    }
    return this.error(question, Rcode.REFUSED, REFUSED);
  }

  /** The zone that answers: of DS the one around, which may be signed where this one is not (RFC 4035 3.1.4.1). */
  private speaker(node: Node, type: number): Zone {
    const outer = type === Type.DS && node.parent === null ? this.site.outerOf(node.zone) : null;
    return outer ?? node.zone;
  }

  private atNode(question: Question, node: Node): number {
    const { query } = question;
    const { type } = query;
    if (node.service !== null) {
      const service = this.client.answersOf(node.service, type);
      service.refresh();
      const { cells } = service;
      cells.add(-1, REQUESTS, 1);
      if (type === Type.A || type === Type.AAAA) {
        const set = type === Type.A ? service.v4 : service.v6;
        if (set.count > 0) {
          const length = service.write(question, type === Type.AAAA, this.client.keyFor(service));
          if (set.first >= 0) cells.add(set.first, REQUESTS, 1);
          return length;
        }
        if (service.rule === "servfail") {
          cells.add(-1, ERRORS, 1);
          query.scope = 0;
          query.explained = explanations.nobodyEligible;
          return question.bare(Rcode.SERVFAIL);
        }
      }
      this.client.lacks(node.service, type);
    }
    if (node.follows(type)) return this.follow(question);
    if (node.service === null) this.tally(ZONE);
    return this.fixed(question, node);
  }

  private follow(question: Question): number {
    this.tally(ZONE);
    return this.chained(question);
  }

  private chained(question: Question): number {
    const length = this.chain.answer(question, this.client, this.guard);
    if (this.chain.spent) this.tally(UNSIGNED);
    return length;
  }

  /** Out of a signed zone, for a client that takes signatures. `node`: where the name is; null: nowhere. `exact`: it is there. */
  private sealed(question: Question, node: Node | null, exact: boolean): number {
    const { query, out } = question;
    const { type } = query;
    query.scope = 0;
    if (node === null) this.tally(NXDOMAIN);
    else if (node.service === null) this.tally(ZONE);
    // The service counts its addresses' questions itself, where it is met in the chain.
    else if (type !== Type.A && type !== Type.AAAA) node.service.cells.add(-1, REQUESTS, 1);
    if (!exact) return this.chained(question);
    const { site, kept } = this;
    const now = Math.floor(Date.now() / 1000);
    const key = SealedAnswers.keyOf(query);
    let length = kept.write(key, question, site.version, now);
    if (length === 0) {
      length = this.chained(question);
      const { bodyEnd, lacking } = this.chain;
      if (bodyEnd > 0) kept.take(key, question, bodyEnd, lacking, site.version, now);
    }
    const empty = out[6] === 0 && out[7] === 0 && (out[3]! & 15) === Rcode.NOERROR;
    if (empty && (type === Type.A || type === Type.AAAA)) node?.service?.cells.add(-1, REQUESTS, 1);
    return length;
  }

  private fixed(question: Question, node: Node): number {
    const { query } = question;
    let { zone } = node;
    const any = query.type === Type.ANY;
    let template = node.answer(any ? Type.CNAME : query.type) ?? (any ? anyAnswer : (node.nodata ?? zone.nodata));
    if (query.type === Type.DS && query.labels === zone.labels) {
      const outer = this.site.outer(zone, query);
      if (outer !== null) {
        template = zone.parentDs === null ? outer.nodata : zone.parentDsAnswer;
        zone = outer;
      }
    }
    return this.template(question, template, zone);
  }

  private template({ out, query, transport }: Question, template: Template, zone: Zone): number {
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
    case Type.NXNAME:
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
