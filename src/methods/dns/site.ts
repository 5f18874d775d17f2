import ipaddr from "ipaddr.js";
import { recordOf } from "../../protocols/dns/master-file.ts";
import { isWildcard, isWithin, nameToWire, parentName } from "../../protocols/dns/name.ts";
import { NameTable } from "../../protocols/dns/name-table.ts";
import { MAX_TTL, Rcode, Type } from "../../protocols/dns/numbers.ts";
import type { Query } from "../../protocols/dns/query.ts";
import type { Rdata, Template } from "../../protocols/dns/template.ts";
import type { DnsSecrets } from "./dnssec/secrets.ts";
import { type SigningRoom, ZoneSigning } from "./dnssec/zone-signing.ts";
import { Node } from "./node.ts";
import type { DnsSettings } from "./options.ts";
import type { ServiceAnswers } from "./service-answers.ts";
import { type Rrset, toRrsets } from "./static-zone.ts";
import { followTargets, type TargetAddresses } from "./svcb-answers.ts";
import { createZone, nameServerRecords, negativeAnswer, type Zone, zoneApexes } from "./zones.ts";

/** What a service brings to the site. */
export interface SiteService {
  names: readonly string[];
  ttl: number;
  answers: ServiceAnswers;
}

/** Every name that is answered, found by the queried name's octets. Names do not change with health. */
export class Site {
  readonly zones: Zone[];
  /** Grows with every change of what its zones say by themselves. */
  version = 0;
  private readonly nodes = new NameTable<Node>();
  private readonly apexes = new NameTable<Zone>();
  private readonly nodata = new Map<Zone, Map<number, Template>>();
  /** Zones whose DS stands in the records of the one around them. */
  private readonly givenDs = new Set<Zone>();

  constructor(services: readonly SiteService[], settings: DnsSettings, serial: number) {
    const given = settings.zones.map(({ name, lines }) => ({
      apex: nameToWire(name)!,
      sets: toRrsets(lines.map(recordOf)),
    }));
    const own = new Map(given.map(({ apex, sets }) => [keyOf(apex), sets.get(keyOf(apex))]));
    const listed = settings.zones.map(({ name }) => name);
    const names = services.flatMap((s) => s.names);
    this.zones = zoneApexes(listed, names).map((apex) => createZone(apex, settings, serial, own.get(keyOf(apex))));
    // Outer zones first: a name's zone is the innermost one that holds it.
    this.zones.sort((a, b) => a.labels - b.labels);
    for (const zone of this.zones) {
      this.apexes.add(zone.apex, zone);
      this.nodes.add(zone.apex, new Node(zone, null));
    }
    for (const { apex, sets } of given) {
      const zone = this.apexes.get(apex)!;
      for (const types of sets.values()) for (const set of types.values()) this.placeRecords(zone, set);
    }
    for (const service of services) {
      for (const name of service.names) this.serve(nameToWire(name)!, service);
    }
    for (const zone of this.zones) this.placeNameServers(zone);
    if (given.some(({ sets }) => sets.size > 0)) this.markCuts();
  }

  get size(): number {
    return this.nodes.size;
  }

  /** Calls back with every name that exists, lower-case wire form, and its node. */
  each(call: (wire: Uint8Array, node: Node) => void): void {
    this.nodes.each(call);
  }

  /** The node at the queried name, or undefined. */
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

  /** The node at a lower-case wire name, or undefined. */
  at(wire: Uint8Array): Node | undefined {
    return this.nodes.get(wire);
  }

  /** The zone that holds the one whose apex was asked for: it answers DS (RFC 4035 3.1.4.1). */
  outer(zone: Zone, query: Query): Zone | null {
    const parent = this.encloser(query)?.zone;
    return parent === undefined || parent === zone ? null : parent;
  }

  /** The zone of this very name. */
  zoneAt(apex: Uint8Array): Zone | undefined {
    return this.apexes.get(apex);
  }

  /**
   * All of a zone as a transfer gives it: SOA first and last (RFC 5936 2.2). A service stands there with the addresses
   * that it would be answered with if all checks had passed: health is not for other servers to keep.
   */
  *contents(zone: Zone): Generator<Rrset> {
    // The serial may change while it goes out; the first and the last SOA must be the same.
    const { soaSet } = zone;
    yield soaSet;
    yield zone.nsSet;
    for (const [name, node] of this.nodes.entries()) {
      if (node.zone !== zone) continue;
      if (node.service !== null) yield* node.service.standing(name);
      for (const set of node.records?.values() ?? []) yield followTargets(set, (target) => this.standing(target)).set;
    }
    for (const inner of this.zones) if (inner.parentDs !== null && this.outerOf(inner) === zone) yield inner.parentDs;
    for (const inner of this.zones) if (inner !== zone && this.outerOf(inner) === zone) yield* this.delegationOf(inner);
    yield soaSet;
  }

  /** The addresses at a name of ours if all checks had passed. */
  private standing(name: Uint8Array): TargetAddresses | null {
    const node = this.at(name);
    if (node === undefined || node.cut !== null) return null;
    const sets = node.service?.standing(name) ?? [];
    const of = (type: number): Uint8Array[] =>
      (sets.find((s) => s.type === type) ?? node.rrset(type))?.rdata.map(([part]) => part as Uint8Array) ?? [];
    const ttl = Math.min(...sets.map((s) => s.ttl), MAX_TTL);
    return { name, v4: of(Type.A), v6: of(Type.AAAA), ttl, steered: node.service !== null };
  }

  /** What leads from the zone around it to a zone that is here too: other servers need not have that one. */
  private *delegationOf(inner: Zone): Generator<Rrset> {
    yield inner.nsSet;
    for (const server of inner.nameServers) if (isWithin(server.name, inner.apex)) yield* nameServerRecords(server);
  }

  /** The apexes of zones that others may have whole: not of signed ones. */
  transferable(): Uint8Array[] {
    return this.zones.filter(({ signing, labels }) => signing === null && labels > 0).map(({ apex }) => apex);
  }

  /** Another revision, of backends perhaps: where the SOA is made here, its serial. Others see by it that there is something new. */
  renumber(serial: number): void {
    this.nodata.clear();
    this.version++;
    for (const zone of this.zones) zone.renumber(serial);
    for (const node of this.nodes.all)
      if (node.service !== null) node.nodata = this.nodataFor(node.zone, node.service.ttl);
  }

  /** The zone that holds this one; null when it is not here. */
  outerOf(zone: Zone): Zone | null {
    const above = parentName(zone.apex);
    return (above === null ? undefined : this.zoneOf(above)) ?? null;
  }

  /** Other keys: of which zones, and what is to be signed with them. */
  sign({ zones }: DnsSecrets, room: SigningRoom): void {
    this.version++;
    for (const secrets of zones) {
      const zone = this.apexes.get(nameToWire(secrets.zone)!);
      if (zone === undefined) continue;
      zone.signing ??= new ZoneSigning(zone.apex, this.zones.indexOf(zone), room);
      zone.signing.take(secrets);
      const node = this.nodes.get(zone.apex)!;
      for (const set of zone.signing.sets) node.place(set);
    }
    // A zone that lies in a signed one of ours is reached from there without anybody copying its DS.
    for (const zone of this.zones) {
      if (zone.signing === null || this.givenDs.has(zone) || !this.outerOf(zone)?.signing) continue;
      const rdata = zone.signing.ds.map((octets) => [octets]);
      zone.parentDs = { owner: zone.apex, type: Type.DS, ttl: DS_TTL, rdata };
    }
  }

  private serve(wire: Uint8Array, service: SiteService): void {
    const node = this.ensure(wire);
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

  /** Makes the node of the name at `from`, and the empty non-terminals on the way up to its apex. It lies within a zone. */
  private ensure(wire: Uint8Array, from = 0): Node {
    const known = this.nodes.get(wire, from);
    if (known !== undefined) return known;
    const parent = this.ensure(wire, from + wire[from]! + 1);
    const node = new Node(parent.zone, parent);
    const name = from === 0 ? wire : wire.subarray(from);
    this.nodes.add(name, node);
    if (isWildcard(name)) parent.wildcard = node;
    return node;
  }

  /** A set of a zone's own records. What an inner zone that is here too holds is that one's, but for its DS. */
  private placeRecords(zone: Zone, set: Rrset): void {
    const inner = this.zoneOf(set.owner)!;
    if (inner !== zone) {
      if (set.type === Type.DS && set.owner.length === inner.apex.length) {
        inner.parentDs = set;
        this.givenDs.add(inner);
      }
      return;
    }
    const node = this.ensure(set.owner);
    if (node.parent === null && (set.type === Type.SOA || set.type === Type.NS)) return;
    node.place(set);
  }

  private zoneOf(wire: Uint8Array): Zone | undefined {
    for (let up: Uint8Array | null = wire; up !== null; up = parentName(up)) {
      const zone = this.apexes.get(up);
      if (zone !== undefined) return zone;
    }
    return undefined;
  }

  /** Name servers inside our zones are answered by their addresses, unless a service or a record has the name. */
  private placeNameServers(zone: Zone): void {
    for (const server of zone.nameServers) {
      if (!this.zoneOf(server.name)) continue;
      if (server.addresses.length === 0) {
        const records = this.nodes.get(server.name)?.records;
        server.addresses = [Type.A, Type.AAAA].flatMap((type) => records?.get(type)?.rdata.map(addressText) ?? []);
        continue;
      }
      const node = this.ensure(server.name);
      if (node.service !== null || node.records !== null) continue;
      const sets = nameServerRecords(server);
      node.records = new Map(sets.map((set) => [set.type, set]));
    }
  }

  /** Which names are delegated away: those with NS below an apex, and all below them. Parents come before children. */
  private markCuts(): void {
    for (const node of this.nodes.all) {
      const { parent } = node;
      if (parent === null) continue;
      node.cut = parent.cut ?? (node.records?.has(Type.NS) ? node : null);
      if (node.cut !== null) node.service = null;
    }
  }
}

/** TTL of a DS that is made here, seconds. */
const DS_TTL = 3600;
const addressText = (rdata: Rdata): string => ipaddr.fromByteArray([...(rdata[0] as Uint8Array)]).toString();
const keyOf = (wire: Uint8Array): string => String.fromCharCode(...wire);

/** Octet of the question's name where the zone's apex begins. The name lies within the zone. */
export const apexAt = (query: Query, zone: Zone): number =>
  zone.labels === 0 ? query.nameEnd - 1 : query.labelAt[query.labels - zone.labels]!;
