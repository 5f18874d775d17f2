import { configProblem, type Problem } from "../../core/problem.ts";
import type { Geography, Service } from "../../core/service.ts";
import { formatDuration } from "../../core/words.ts";
import { recordOf } from "../../protocols/dns/master-file.ts";
import { nameToWire, wireToName } from "../../protocols/dns/name.ts";
import { MAX_NAME, Type } from "../../protocols/dns/numbers.ts";
import { typeName } from "../../protocols/dns/record-types.ts";
import { keyTimes } from "./dnssec/keeper.ts";
import { RENEWAL } from "./dnssec/terms.ts";
import type { DnsOptions, DnsSettings } from "./options.ts";
import { judgeSteer, judgeSteerPlaces } from "./steering/judge.ts";
import { signedZones } from "./zones.ts";

/** What nearly all names are: nothing escaped, and more than one label. */
const PLAIN = /^(?:\*\.)?(?:[a-z0-9_-]{1,63}\.)+[a-z0-9_-]{1,63}$/;

/** Names that DNS cannot carry; a star is only whole and only in front (RFC 4592 2.1.1). */
export function judge(service: Service<DnsOptions>): Problem[] {
  const problems: Problem[] = [];
  service.names.forEach((name, i) => {
    if (name.length <= MAX_NAME - 2 && PLAIN.test(name)) return;
    const path = ["names", i];
    if (name === "." || name === "" || nameToWire(name) === null) {
      problems.push(
        configProblem("SLUICE_CONFIG_VALUE", path, `"${name}" is not a domain name.`, {
          hint: "Labels have 1 to 63 octets, a name at most 255.",
        }),
      );
    } else if (!name.includes(".")) {
      problems.push(
        configProblem("SLUICE_CONFIG_VALUE", path, `"${name}" has a single label: a zone cannot be made of it.`, {
          hint: "Write the whole name, such as shop.example.com.",
        }),
      );
    }
  });
  return [...problems, ...judgeSteer(service)];
}

/** What services and the zones' own records are to one another. Paths begin with the service's name. */
export function judgeTogether(
  services: readonly Service<DnsOptions>[],
  settings?: unknown,
  geography?: Geography,
): Problem[] {
  const problems: Problem[] = [];
  if (geography !== undefined)
    for (const service of services)
      problems.push(...judgeSteerPlaces(service, geography).map((p) => ({ ...p, path: [service.name, ...p.path] })));
  if (settings !== undefined) {
    problems.push(...judgeRecords(services, settings as DnsSettings));
    problems.push(...judgeSigned(services, settings as DnsSettings));
    problems.push(...judgeTargets(services, settings as DnsSettings));
  }
  return problems;
}

/** Names of services that a zone's own records take away: by an alias, by a delegation, or by addresses of their own. */
function judgeRecords(services: readonly Service<DnsOptions>[], { zones }: DnsSettings): Problem[] {
  const owners = new Map<string, number[]>();
  for (const { owner, type } of zones.flatMap(({ lines }) => lines.map(recordOf))) {
    const name = wireToName(owner);
    owners.set(name, [...(owners.get(name) ?? []), type]);
  }
  if (owners.size === 0) return [];
  const apexes = new Set(zones.map(({ name }) => name));
  return services.flatMap((service) =>
    service.names.flatMap((name, i) => {
      const why = taken(name, owners, apexes);
      const message = `"${name}" cannot be served: ${why}.`;
      return why === null ? [] : [configProblem("SLUICE_CONFIG_CONFLICT", [service.name, "names", i], message)];
    }),
  );
}

/** Why the records keep a service from having this name; null when they do not. */
function taken(name: string, owners: ReadonlyMap<string, number[]>, apexes: ReadonlySet<string>): string | null {
  const own = owners.get(name) ?? [];
  const clash = [Type.CNAME, Type.A, Type.AAAA].find((type) => own.includes(type));
  if (clash !== undefined) return `a zone's own records have ${typeName(clash)} there`;
  for (let up = name; up !== "" && !apexes.has(up); up = up.slice(up.indexOf(".") + 1 || up.length)) {
    if (owners.get(up)?.includes(Type.NS)) return `"${up}" is delegated to other name servers`;
    if (up !== name && owners.get(up)?.includes(Type.DNAME)) return `"${up}" is a DNAME`;
  }
  return null;
}

const MX = 15;
/** Parts of RDATA before the name, of the types whose target must be no alias. */
const targets: Readonly<Record<number, number>> = { [Type.NS]: 0, [MX]: 1 };

/** NS and MX that lead to an alias here: warnings, for many such zones live (RFC 2181 10.3). */
function judgeTargets(services: readonly Service<DnsOptions>[], { zones }: DnsSettings): Problem[] {
  const records = zones.flatMap(({ lines }) => lines.map(recordOf));
  const aliases = new Set(records.filter(({ type }) => type === Type.CNAME).map(({ owner }) => wireToName(owner)));
  if (aliases.size === 0 || services.length === 0) return [];
  return records.flatMap(({ owner, type, rdata }) => {
    const part = rdata[targets[type] ?? rdata.length];
    const target = part === undefined || part instanceof Uint8Array ? null : wireToName(part.name);
    if (target === null || !aliases.has(target)) return [];
    const message = `${wireToName(owner)}: ${typeName(type)} leads to ${target}, which is an alias (RFC 2181 10.3): not all resolvers follow it.`;
    return [configProblem("SLUICE_CONFIG_VALUE", [services[0]!.name, "names"], message, { severity: "warning" })];
  });
}

/** A cache that does not validate would hand out what it keeps with a signature that has ended (RFC 6781 4.4.2.1). */
function judgeValidity(services: readonly Service<DnsOptions>[], settings: DnsSettings): Problem[] {
  const { validity } = settings.dnssec!;
  const { zoneTtl, dnskeyTtl } = keyTimes(services, settings);
  const longest = Math.max(zoneTtl, dnskeyTtl);
  if (validity >= longest * RENEWAL) return [];
  const [given, ttl, least] = [validity, longest, longest * RENEWAL].map((s) => formatDuration(s * 1000));
  const message = `dns: dnssec: validity is ${given}, but answers may be kept for ${ttl}: their signatures would end before.`;
  const hint = `Write ${least} or more: a signature is made anew when a quarter of it is left.`;
  return [configProblem("SLUICE_CONFIG_CONFLICT", [services[0]!.name, "names"], message, { hint })];
}

/** Signatures that end too soon, and zones that are to be signed and are none. */
function judgeSigned(services: readonly Service<DnsOptions>[], settings: DnsSettings): Problem[] {
  const { dnssec } = settings;
  if (dnssec === undefined || services.length === 0) return [];
  return [...judgeValidity(services, settings), ...judgeUnknown(services, settings)];
}

function judgeUnknown(services: readonly Service<DnsOptions>[], settings: DnsSettings): Problem[] {
  const { dnssec } = settings;
  if (dnssec === undefined || dnssec.zones === "all") return [];
  const all = signedZones(services, { ...settings, dnssec: { ...dnssec, zones: "all" } });
  return dnssec.zones
    .filter((name) => !all.includes(name))
    .map((name) =>
      configProblem(
        "SLUICE_CONFIG_VALUE",
        [services[0]!.name, "names"],
        `dns: dnssec: zones names "${name}", which is no zone of this server: ${all.join(", ")}.`,
        { hint: "List it under dns: zones, or sign the zone that holds the name." },
      ),
    );
}
