import { addressOctets } from "../../core/address.ts";
import type { Service } from "../../core/service.ts";
import {
  isWildcard,
  isWithin,
  labelCount,
  mailboxToWire,
  nameToWire,
  parentName,
  wireToName,
} from "../../protocols/dns/name.ts";
import { NameTable } from "../../protocols/dns/name-table.ts";
import { MAX_NAME, Rcode, Type } from "../../protocols/dns/numbers.ts";
import { addressType, type Soa, soaRdata } from "../../protocols/dns/rdata.ts";
import { type Rdata, type Template, TemplateBuilder } from "../../protocols/dns/template.ts";
import type { ZoneSigning } from "./dnssec/zone-signing.ts";
import type { DnsOptions, DnsSettings } from "./options.ts";
import { type Rrset, targetOf } from "./static-zone.ts";

/** A name server with the addresses that this server answers for it. */
export interface NameServer {
  name: Uint8Array;
  addresses: string[];
}

/** One zone: its own records, and the negative answers of its names. */
export interface Zone {
  readonly apex: Uint8Array;
  readonly labels: number;
  readonly nameServers: NameServer[];
  readonly soa: Soa;
  /** TTL of the SOA as an answer, seconds. */
  readonly soaTtl: number;
  readonly nxdomain: Template;
  readonly nodata: Template;
  readonly soaAnswer: Template;
  readonly nsAnswer: Template;
  readonly soaSet: Rrset;
  readonly nsSet: Rrset;
  /** DS of this zone in the zone around it, when that one is here too: the outer one answers it (RFC 4035 3.1.4.1). */
  parentDs: Rrset | null;
  /** How it is signed; null: it is not. */
  signing: ZoneSigning | null;
  /** Takes another serial, unless the zone's own records have an SOA. */
  renumber(serial: number): void;
  readonly parentDsAnswer: Template;
}

const wire = (name: string): Uint8Array => nameToWire(name)!;

/**
 * Which zones the server has. A configured zone takes every name at or below it. Any other name makes a zone of its
 * parent, the name without its first label, unless that would be a top-level domain: then the name itself is the zone.
 * Of such derived zones only the outermost stay. Returns wire names, lower case.
 */
export function zoneApexes(configured: readonly string[], names: readonly string[]): Uint8Array[] {
  const apexes = new NameTable<Uint8Array>();
  const found: Uint8Array[] = [];
  const add = (apex: Uint8Array): void => {
    if (apexes.get(apex) !== undefined) return;
    apexes.add(apex, apex);
    found.push(apex);
  };
  const covered = (name: Uint8Array): boolean => {
    for (let at = 0; ; at += name[at]! + 1) {
      if (apexes.get(name, at)) return true;
      if (name[at] === 0) return false;
    }
  };
  for (const text of configured) add(wire(text));
  const derived: Uint8Array[] = [];
  const listed = new Set(configured);
  for (const text of names) {
    if (isListed(text, listed)) continue;
    const name = wire(text);
    if (covered(name)) continue;
    const parent = parentName(name)!;
    derived.push(labelCount(parent) < 2 && !isWildcard(name) ? name : parent);
  }
  // Few labels first: what lies within a zone that is already there is no zone of its own.
  derived.sort((a, b) => labelCount(a) - labelCount(b));
  for (const apex of derived) if (!covered(apex)) add(apex);
  return found;
}

/** Does the name lie in one of these zones as it is written? Most do, and need no wire form for it; false where it has escapes. */
function isListed(text: string, zones: ReadonlySet<string>): boolean {
  if (text.includes("\\")) return false;
  for (let dot = text.indexOf("."); dot !== -1; dot = text.indexOf(".", dot + 1))
    if (zones.has(text.slice(dot + 1))) return true;
  return false;
}

/** The zones that are signed, by name. */
export function signedZones(services: readonly Service<DnsOptions>[], settings: DnsSettings): string[] {
  const { dnssec } = settings;
  if (dnssec === undefined) return [];
  const listed = settings.zones.map(({ name }) => name);
  const all = zoneApexes(
    listed,
    services.flatMap(({ names }) => names),
  ).map((apex) => wireToName(apex));
  return dnssec.zones === "all" ? all : dnssec.zones.filter((name) => all.includes(name));
}

/** TTL of NS records and of the servers' addresses, seconds. */
const NS_TTL = 3600;

/** `label` below the apex; the apex itself when no name of legal length can be made. */
function below(label: string, apex: Uint8Array): Uint8Array {
  const name = Uint8Array.from([label.length, ...new TextEncoder().encode(label), ...apex]);
  return name.length <= MAX_NAME ? name : apex;
}

function nameServersOf(apex: Uint8Array, settings: DnsSettings): NameServer[] {
  const own = [...new Set(settings.listen.map((l) => l.address))];
  if (settings.ns.length === 0) return [{ name: below("ns", apex), addresses: own }];
  return settings.ns.map((ns) =>
    typeof ns === "string" ? { name: wire(ns), addresses: own } : { name: wire(ns.name), addresses: ns.addresses },
  );
}

/**
 * Makes a zone. Its SOA and NS are those of `given` (its own records at the apex) where it has them, else they are made
 * from the settings; `serial` is then the revision's number.
 */
export function createZone(
  apex: Uint8Array,
  settings: DnsSettings,
  serial: number,
  given: ReadonlyMap<number, Rrset> | undefined,
): Zone {
  const ns = given?.get(Type.NS);
  const nameServers = ns
    ? ns.rdata.map((rdata) => ({ name: targetOf(rdata), addresses: [] }))
    : nameServersOf(apex, settings);
  const soaSet = given?.get(Type.SOA);
  const zone = { apex, nameServers, nsTtl: ns?.ttl ?? NS_TTL };
  if (soaSet) return new LazyZone({ ...zone, soa: toSoa(soaSet.rdata[0]!), soaTtl: soaSet.ttl, made: false });
  const { primary, admin, ttl, refresh, retry, expire, negative } = settings.soa;
  const soa: Soa = {
    primary: primary === undefined ? nameServers[0]!.name : wire(primary),
    admin: admin === undefined ? below("hostmaster", apex) : mailboxToWire(admin)!,
    serial: serial >>> 0,
    refresh,
    retry,
    expire,
    minimum: negative,
  };
  return new LazyZone({ ...zone, soa, soaTtl: ttl, made: true });
}

/** An SOA of a zone's own records. */
function toSoa(rdata: Rdata): Soa {
  const [primary, admin, ...rest] = rdata as [{ name: Uint8Array }, { name: Uint8Array }, ...Uint8Array[]];
  const view = new DataView(Uint8Array.from(rest.flatMap((part) => [...part])).buffer);
  const [serial, refresh, retry, expire, minimum] = [0, 4, 8, 12, 16].map((at) => view.getUint32(at));
  return {
    primary: primary.name,
    admin: admin.name,
    serial: serial!,
    refresh: refresh!,
    retry: retry!,
    expire: expire!,
    minimum: minimum!,
  };
}

/** Builds an answer when it is asked for: of a hundred thousand zones most are silent. */
class LazyZone implements Zone {
  readonly apex: Uint8Array;
  readonly labels: number;
  readonly nameServers: NameServer[];
  readonly soa: Soa;
  readonly soaTtl: number;
  #nxdomain?: Template;
  #nodata?: Template;
  #soaAnswer?: Template;
  #nsAnswer?: Template;
  readonly #nsTtl: number;
  /** Is the SOA made here? */
  readonly #made: boolean;
  parentDs: Rrset | null = null;
  signing: ZoneSigning | null = null;

  constructor({
    apex,
    nameServers,
    soa,
    soaTtl,
    nsTtl,
    made,
  }: Pick<Zone, "apex" | "nameServers" | "soa" | "soaTtl"> & { nsTtl: number; made: boolean }) {
    this.apex = apex;
    this.labels = labelCount(apex);
    this.nameServers = nameServers;
    this.soa = soa;
    this.soaTtl = soaTtl;
    this.#nsTtl = nsTtl;
    this.#made = made;
  }

  renumber(serial: number): void {
    if (!this.#made || this.soa.serial === serial >>> 0) return;
    this.soa.serial = serial >>> 0;
    this.#nxdomain = this.#nodata = this.#soaAnswer = undefined;
  }

  get parentDsAnswer(): Template {
    const builder = new TemplateBuilder(this.apex);
    for (const rdata of this.parentDs!.rdata) builder.record("answers", "question", Type.DS, this.parentDs!.ttl, rdata);
    return builder.build(Rcode.NOERROR);
  }
  get soaSet(): Rrset {
    return { owner: this.apex, type: Type.SOA, ttl: this.soaTtl, rdata: [soaRdata(this.soa)] };
  }
  get nsSet(): Rrset {
    const rdata = this.nameServers.map(({ name }) => [{ name }]);
    return { owner: this.apex, type: Type.NS, ttl: this.#nsTtl, rdata };
  }

  get nxdomain(): Template {
    this.#nxdomain ??= negativeAnswer(this, Rcode.NXDOMAIN);
    return this.#nxdomain;
  }
  get nodata(): Template {
    this.#nodata ??= negativeAnswer(this, Rcode.NOERROR);
    return this.#nodata;
  }
  get soaAnswer(): Template {
    const { apex, soa, soaTtl } = this;
    this.#soaAnswer ??= new TemplateBuilder(apex)
      .record("answers", "question", Type.SOA, soaTtl, soaRdata(soa))
      .build(Rcode.NOERROR);
    return this.#soaAnswer;
  }
  get nsAnswer(): Template {
    this.#nsAnswer ??= nameServerAnswer(this, this.#nsTtl);
    return this.#nsAnswer;
  }
}

/**
 * NXDOMAIN or NODATA with the SOA in authority, its TTL the smaller of SOA TTL and MINIMUM (RFC 2308 3), and no longer
 * than `ttl`: a family of addresses that is away for now must come back as soon as one that stays.
 */
export function negativeAnswer(
  zone: Pick<Zone, "apex" | "soa" | "soaTtl">,
  rcode: number,
  ttl = Number.POSITIVE_INFINITY,
): Template {
  const least = Math.min(zone.soaTtl, zone.soa.minimum, ttl);
  return new TemplateBuilder(zone.apex)
    .record("authority", zone.apex, Type.SOA, least, soaRdata(zone.soa))
    .build(rcode);
}

/** NS at the apex, with the addresses of those servers that lie in the zone. */
function nameServerAnswer(zone: Pick<Zone, "apex" | "nameServers">, ttl: number): Template {
  const builder = new TemplateBuilder(zone.apex);
  for (const { name } of zone.nameServers) builder.record("answers", "question", Type.NS, ttl, [{ name }]);
  for (const { name, addresses } of zone.nameServers.filter((ns) => isWithin(ns.name, zone.apex))) {
    for (const a of addresses) builder.record("additional", name, addressType(a), NS_TTL, [addressOctets(a)]);
  }
  return builder.build(Rcode.NOERROR);
}

/** The addresses of a name server as records; a type without an address is absent. */
export function nameServerRecords(server: NameServer): Rrset[] {
  return [Type.A, Type.AAAA].flatMap((type) => {
    const rdata = server.addresses.filter((a) => addressType(a) === type).map((a) => [addressOctets(a)]);
    return rdata.length === 0 ? [] : [{ owner: server.name, type, ttl: NS_TTL, rdata }];
  });
}
