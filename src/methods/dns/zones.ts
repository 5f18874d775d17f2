import { isWithin, labelCount, mailboxToWire, nameToWire, parentName } from "../../protocols/dns/name.ts";
import { NameTable } from "../../protocols/dns/name-table.ts";
import { MAX_NAME, Rcode, Type } from "../../protocols/dns/numbers.ts";
import { addressRdata, addressType, type Soa, soaRdata } from "../../protocols/dns/rdata.ts";
import { type Template, TemplateBuilder } from "../../protocols/dns/template.ts";
import type { DnsSettings } from "./options.ts";

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
    for (let up: Uint8Array | null = name; up !== null; up = parentName(up)) if (apexes.get(up)) return true;
    return false;
  };
  for (const text of configured) add(wire(text));
  const derived: Uint8Array[] = [];
  for (const text of names) {
    const name = wire(text);
    if (covered(name)) continue;
    const parent = parentName(name)!;
    derived.push(labelCount(parent) < 2 && name[1] !== STAR ? name : parent);
  }
  // Few labels first: what lies within a zone that is already there is no zone of its own.
  derived.sort((a, b) => labelCount(a) - labelCount(b));
  for (const apex of derived) if (!covered(apex)) add(apex);
  return found;
}

const STAR = 42;
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

/** Makes a zone and its prebuilt answers. `serial` is the revision's number. */
export function createZone(apex: Uint8Array, settings: DnsSettings, serial: number): Zone {
  const nameServers = nameServersOf(apex, settings);
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
  return new LazyZone(apex, nameServers, soa, ttl);
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

  constructor(apex: Uint8Array, nameServers: NameServer[], soa: Soa, soaTtl: number) {
    this.apex = apex;
    this.labels = labelCount(apex);
    this.nameServers = nameServers;
    this.soa = soa;
    this.soaTtl = soaTtl;
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
    this.#nsAnswer ??= nameServerAnswer(this);
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
function nameServerAnswer(zone: Pick<Zone, "apex" | "nameServers">): Template {
  const builder = new TemplateBuilder(zone.apex);
  for (const { name } of zone.nameServers) builder.record("answers", "question", Type.NS, NS_TTL, [{ name }]);
  for (const { name, addresses } of zone.nameServers.filter((ns) => isWithin(ns.name, zone.apex))) {
    for (const a of addresses) builder.record("additional", name, addressType(a), NS_TTL, [addressRdata(a)]);
  }
  return builder.build(Rcode.NOERROR);
}

/** The addresses of a name server, as answers to A and AAAA; a type without an address is absent. */
export function nameServerAddresses(zone: Zone, server: NameServer): Map<number, Template> {
  const answers = new Map<number, Template>();
  for (const type of [Type.A, Type.AAAA]) {
    const addresses = server.addresses.filter((a) => addressType(a) === type);
    if (addresses.length === 0) continue;
    const builder = new TemplateBuilder(zone.apex);
    for (const a of addresses) builder.record("answers", "question", type, NS_TTL, [addressRdata(a)]);
    answers.set(type, builder.build(Rcode.NOERROR));
  }
  return answers;
}
