import { nameToWire, parentName } from "../../protocols/dns/name.ts";
import { NameTable } from "../../protocols/dns/name-table.ts";
import { Rcode } from "../../protocols/dns/numbers.ts";
import type { Query } from "../../protocols/dns/query.ts";
import type { Template } from "../../protocols/dns/template.ts";
import type { DnsSettings } from "./options.ts";
import type { ServiceAnswers } from "./service-answers.ts";
import { createZone, nameServerAddresses, negativeAnswer, type Zone, zoneApexes } from "./zones.ts";

/** One name that exists: an apex, a served name, a name server, or only the way to a deeper name (empty non-terminal). */
export interface Node {
  zone: Zone;
  /** Whose addresses are answered here. */
  service: ServiceAnswers | null;
  /** Is it the zone's own? Then SOA and NS are the zone's. */
  apex: boolean;
  /** Answers that do not depend on health, by type. */
  fixed: Map<number, Template> | null;
  /** The answer to a type that is not here; null: the zone's. */
  nodata: Template | null;
  /** The node of `*` right below, for names that do not exist (RFC 4592). */
  wildcard: Node | null;
}

/** What a service brings to the site. */
export interface SiteService {
  names: readonly string[];
  ttl: number;
  answers: ServiceAnswers;
}

/** Every name that is answered, found by the queried name's octets. Names do not change with health. */
export class Site {
  readonly zones: Zone[];
  private readonly nodes = new NameTable<Node>();
  private readonly nodata = new Map<Zone, Map<number, Template>>();

  constructor(services: readonly SiteService[], settings: DnsSettings, serial: number) {
    const names = services.flatMap((s) => s.names);
    this.zones = zoneApexes(settings.zones, names).map((apex) => createZone(apex, settings, serial));
    // Outer zones first: a name's zone is the innermost one that holds it.
    this.zones.sort((a, b) => a.labels - b.labels);
    const apexes = new NameTable<Zone>();
    for (const zone of this.zones) {
      apexes.add(zone.apex, zone);
      this.nodes.add(zone.apex, aNode(zone, true));
    }
    for (const service of services) {
      for (const name of service.names) this.serve(apexes, nameToWire(name)!, service);
    }
    for (const zone of this.zones) this.placeNameServers(apexes, zone);
  }

  get size(): number {
    return this.nodes.size;
  }

  /** The node at the queried name, or null. */
  exact(query: Query): Node | undefined {
    if (query.labels === 0) return undefined;
    return this.nodes.find(query.bytes, query.labelAt[0]!, query.nameEnd, query.hashAt[0]!);
  }

  /** The longest existing name above the queried one: RFC 4592's closest encloser. */
  encloser(query: Query): Node | undefined {
    for (let i = 1; i < query.labels; i++) {
      const node = this.nodes.find(query.bytes, query.labelAt[i]!, query.nameEnd, query.hashAt[i]!);
      if (node !== undefined) return node;
    }
    return undefined;
  }

  /** The zone that holds the one whose apex was asked for: it answers DS (RFC 4035 3.1.4.1). */
  outer(zone: Zone, query: Query): Zone | null {
    const parent = this.encloser(query)?.zone;
    return parent === undefined || parent === zone ? null : parent;
  }

  private serve(apexes: NameTable<Zone>, wire: Uint8Array, service: SiteService): void {
    const node = this.ensure(apexes, wire);
    node.service = service.answers;
    node.nodata = this.nodataFor(node.zone, service.ttl);
  }

  /** One template for all services of a zone with the same TTL. */
  private nodataFor(zone: Zone, ttl: number): Template | null {
    if (ttl >= zone.soa.minimum) return null;
    const byTtl = this.nodata.get(zone) ?? new Map<number, Template>();
    this.nodata.set(zone, byTtl);
    const made = byTtl.get(ttl) ?? negativeAnswer(zone, Rcode.NOERROR, ttl);
    byTtl.set(ttl, made);
    return made;
  }

  /** Makes the node and the empty non-terminals on the way up to its apex. `wire` lies within a zone. */
  private ensure(apexes: NameTable<Zone>, wire: Uint8Array): Node {
    const known = this.nodes.get(wire);
    if (known !== undefined) return known;
    const parent = this.ensure(apexes, parentName(wire)!);
    const node = aNode(parent.zone, false);
    this.nodes.add(wire, node);
    if (wire[0] === 1 && wire[1] === STAR) parent.wildcard = node;
    return node;
  }

  /** Name servers inside our zones are answered by their addresses, unless a service has the name. */
  private placeNameServers(apexes: NameTable<Zone>, zone: Zone): void {
    for (const server of zone.nameServers) {
      let holder: Zone | undefined;
      for (let up: Uint8Array | null = server.name; up !== null && !holder; up = parentName(up))
        holder = apexes.get(up);
      if (!holder) continue;
      const node = this.ensure(apexes, server.name);
      if (node.service !== null) continue;
      node.fixed ??= new Map();
      for (const [type, answer] of nameServerAddresses(holder, server)) node.fixed.set(type, answer);
    }
  }
}

const STAR = 42;

const aNode = (zone: Zone, apex: boolean): Node => ({
  zone,
  service: null,
  apex,
  fixed: null,
  nodata: null,
  wildcard: null,
});

/** Octet of the question's name where the zone's apex begins. The name lies within the zone. */
export const apexAt = (query: Query, zone: Zone): number =>
  zone.labels === 0 ? query.nameEnd - 1 : query.labelAt[query.labels - zone.labels]!;
