import { Type } from "../../protocols/dns/numbers.ts";
import { hintsOf, isSvcb, toSvcb } from "../../protocols/dns/svcb.ts";
import type { Template } from "../../protocols/dns/template.ts";
import { TemplateBuilder } from "../../protocols/dns/template.ts";
import type { ServiceAnswers } from "./service-answers.ts";
import type { Rrset } from "./static-zone.ts";
import type { Zone } from "./zones.ts";

/** One name that exists: an apex, a served name, one with records, or only the way to a deeper name (empty non-terminal). */
export class Node {
  readonly zone: Zone;
  /** The name without its first label; null for an apex. */
  readonly parent: Node | null;
  /** Whose addresses are answered here. */
  service: ServiceAnswers | null = null;
  /** Records that do not hang on health, by type; those of an apex's SOA and NS are the zone's. */
  records: Map<number, Rrset> | null = null;
  /** The answer to a type that is not here; null: the zone's. */
  nodata: Template | null = null;
  /** The node of `*` right below, for names that do not exist (RFC 4592). */
  wildcard: Node | null = null;
  /** The delegation that this name is or is below; null: the zone's own data. */
  cut: Node | null = null;
  /** Answers to questions of this very name, made when they are first asked for. */
  private templates: Map<number, Template> | null = null;

  constructor(zone: Zone, parent: Node | null) {
    this.zone = zone;
    this.parent = parent;
  }

  /** Puts a set here in the place of what there was of its type. */
  place(set: Rrset): void {
    this.records ??= new Map();
    this.records.set(set.type, set);
    this.templates?.delete(set.type);
  }

  rrset(type: number): Rrset | undefined {
    if (this.parent === null && type === Type.SOA) return this.zone.soaSet;
    if (this.parent === null && type === Type.NS) return this.zone.nsSet;
    return this.records?.get(type);
  }

  /** Must a question of this type be followed, because its answer is more than one set of records? */
  follows(type: number): boolean {
    if (this.cut !== null || (isSvcb(type) && this.leads(type))) return true;
    return type !== Type.CNAME && type !== Type.ANY && this.records?.has(Type.CNAME) === true;
  }

  /**
   * Hangs the answer of SVCB or HTTPS on other names, or on the moment? Not so records about their very own name that say
   * all themselves, as most do.
   */
  private leads(type: number): boolean {
    const set = this.records?.get(type);
    if (set === undefined) return false;
    const parts = set.rdata.map(toSvcb);
    return (
      this.service !== null || parts.some((svcb) => svcb !== null && (svcb.target.length > 1 || hintsOf(svcb).auto))
    );
  }

  /** The whole answer with the records of a type; undefined when there are none. */
  answer(type: number): Template | undefined {
    if (this.parent === null && type === Type.SOA) return this.zone.soaAnswer;
    if (this.parent === null && type === Type.NS) return this.zone.nsAnswer;
    const set = this.records?.get(type);
    if (set === undefined) return undefined;
    this.templates ??= new Map();
    let made = this.templates.get(type);
    if (made === undefined) {
      const builder = new TemplateBuilder(this.zone.apex);
      for (const rdata of set.rdata) builder.record("answers", "question", type, set.ttl, rdata);
      made = builder.build(0);
      this.templates.set(type, made);
    }
    return made;
  }
}
