import { isIPv6 } from "../../core/address.ts";
import type { Backend } from "../../core/backend.ts";
import type { Protocol } from "../../core/service.ts";
import type { NftTable } from "../../system/nft.ts";
import type { NatService } from "./compile.ts";
import { portsOf, TIERS, type Tier, tierOf } from "./ports.ts";
import { hashSeed } from "./slots.ts";

/**
 * The rules of the nftables engine, as text, pure. Names: chain `s.SERVICE` spreads new flows over the chains
 * `s.SERVICE.ID`, which translate; `f.SERVICE.ID` counts the packets of a backend's flows, or cuts them; `m.SERVICE`
 * says whom the director stands in for. Counters `n.SERVICE.ID.{new,in,out}` and `n.SERVICE.none`. Service names hold
 * no dot, and nothing of a user's stands in a rule but addresses and numbers.
 *
 * Packets find these chains in maps, one for each tier of listeners: the first that knows the port decides. Only tiers
 * that are in use are asked.
 *
 * Which backend a flow has is conntrack's to remember: a rule here only ever decides for a flow's first packet, so a
 * change of the set breaks no flow that lives.
 */

/** A service with its slot table: one backend id per slot, empty when nobody is eligible. */
export interface Slotted {
  service: NatService;
  slots: readonly number[];
  /** Which slot a new flow gets: that of the hash of its client's address and port, or of the address, or the next one. */
  spread: "flow" | "source" | "turn";
}

type Family = 4 | 6;
const FAMILIES: readonly Family[] = [4, 6];
const PROTOCOLS: readonly Protocol[] = ["tcp", "udp"];
const addressType: Record<Family, string> = { 4: "ipv4_addr", 6: "ipv6_addr" };
const ipWord: Record<Family, string> = { 4: "ip", 6: "ip6" };

/** `VIP . protocol . port . backend . port`, as conntrack knows a flow's two ends. */
const flowKey = (family: Family): string => {
  const ip = ipWord[family];
  return `${askedKey(family)} . ct reply ${ip} saddr . ct reply proto-src`;
};

/** `VIP . protocol . port`, as the client has asked. */
const askedKey = (family: Family): string =>
  `ct original ${ipWord[family]} daddr . meta l4proto . ct original proto-dst`;

const tierMap = (what: "vips" | "flows" | "masks", family: Family, tier: Tier): string =>
  tier === "one" ? `${what}${family}` : `${what}${family}.${tier}`;

const chainName = (service: string, backend?: number): string =>
  backend === undefined ? `s.${service}` : `s.${service}.${backend}`;
const counterName = (service: string, backend: number, what: "new" | "in" | "out"): string =>
  `n.${service}.${backend}.${what}`;
const flowChain = (service: string, backend: number): string => `f.${service}.${backend}`;
const maskChain = (service: string): string => `m.${service}`;
const refusedName = (service: string): string => `n.${service}.none`;

const familyOf = (service: NatService): Family => (isIPv6(service.vips[0]!.address) ? 6 : 4);

/** Maps by name, and what is in them. */
const maps: readonly (readonly [string, string])[] = FAMILIES.flatMap((family) =>
  TIERS.flatMap((tier) => {
    const asked = `${addressType[family]} . inet_proto . inet_service`;
    const rest = `: verdict;${tier === "one" ? "" : " flags interval;"}`;
    return [
      [tierMap("vips", family, tier), `type ${asked} ${rest}`],
      [tierMap("flows", family, tier), `type ${asked} . ${addressType[family]} . inet_service ${rest}`],
      [tierMap("masks", family, tier), `type ${asked} ${rest}`],
    ] as const;
  }),
);

const baseChains = {
  arriving: "type nat hook prerouting priority dstnat",
  own: "type nat hook output priority -100",
  through: "type filter hook forward priority filter",
  leaving: "type nat hook postrouting priority srcnat",
};

/** The parts of the table that are the same for every configuration. `add` of what is there already changes nothing. */
function frame(table: string): string[] {
  const t = `inet ${table}`;
  return [
    `add table ${t}`,
    ...maps.map(([name, content]) => `add map ${t} ${name} { ${content} }`),
    ...FAMILIES.map(
      (family) => `add ct helper ${t} ftp.${family} { type "ftp" protocol tcp; l3proto ${ipWord[family]}; }`,
    ),
    ...Object.entries(baseChains).map(([name, content]) => `add chain ${t} ${name} { ${content}; policy accept; }`),
  ];
}

const masks = ({ service }: Slotted): boolean => service.masquerade || service.hairpin;

/** Rules of the base chains, for the families, protocols and tiers that are in use: each rule costs every packet. */
function baseRules(table: string, all: readonly Slotted[]): string[] {
  const lines: string[] = [];
  const rule = (chain: string, text: string): number => lines.push(`add rule inet ${table} ${chain} ${text}`);
  for (const family of FAMILIES) {
    const ip = ipWord[family];
    const mine = all.filter(({ service }) => familyOf(service) === family);
    const vips = mine.flatMap(({ service }) => service.vips);
    for (const tier of TIERS) {
      const there = vips.filter((vip) => tierOf(vip) === tier);
      if (there.length === 0) continue;
      for (const chain of ["arriving", "own"])
        rule(chain, `${ip} daddr . meta l4proto . th dport vmap @${tierMap("vips", family, tier)}`);
      for (const protocol of PROTOCOLS.filter((one) => there.some((vip) => vip.protocol === one))) {
        const l4 = `meta l4proto ${protocol}`;
        rule("through", `${l4} ${flowKey(family)} vmap @${tierMap("flows", family, tier)}`);
        if (mine.some(masks))
          rule("leaving", `${l4} ct status dnat ${askedKey(family)} vmap @${tierMap("masks", family, tier)}`);
      }
    }
  }
  return lines;
}

/** The chains of one service, from their first line: who gets the next new flow. */
function serviceChains(table: string, { service, slots, spread }: Slotted): string[] {
  const t = `inet ${table}`;
  const ip = ipWord[familyOf(service)];
  const main = chainName(service.name);
  const lines = [
    `add counter ${t} ${refusedName(service.name)}`,
    `add chain ${t} ${main}`,
    `flush chain ${t} ${main}`,
    ...service.backends.flatMap((backend) => [
      ...backendChain(table, service, backend),
      ...backendFlows(table, service, backend),
    ]),
    ...masking(table, service),
  ];
  if (slots.length === 0) return [...lines, `add rule ${t} ${main} counter name ${refusedName(service.name)} drop`];
  const key = spread === "source" ? `${ip} saddr` : `${ip} saddr . th sport`;
  const verdicts = slots.map((id, slot) => `${slot} : goto ${chainName(service.name, id)}`).join(", ");
  const hash = `jhash ${key} mod ${slots.length} seed 0x${hashSeed(service).toString(16)}`;
  const slot = spread === "turn" ? `numgen inc mod ${slots.length}` : hash;
  return [...lines, `add rule ${t} ${main} ${slot} vmap { ${verdicts} }`];
}

function backendChain(table: string, service: NatService, backend: Backend): string[] {
  const t = `inet ${table}`;
  const chain = chainName(service.name, backend.id);
  const v6 = familyOf(service) === 6;
  const address = v6 && backend.port !== null ? `[${backend.address}]` : backend.address;
  // Without a port of its own a backend gets the client's: the port then stays as it came.
  const to = backend.port === null ? address : `${address}:${backend.port}`;
  // Before the translation, which prepares for what the helper will do to sequence numbers.
  const helper = service.helper ? `ct helper set "${service.helper}.${v6 ? 6 : 4}" ` : "";
  return [
    ...(["new", "in", "out"] as const).map((what) => `add counter ${t} ${counterName(service.name, backend.id, what)}`),
    `add chain ${t} ${chain}`,
    `flush chain ${t} ${chain}`,
    `add rule ${t} ${chain} counter name ${counterName(service.name, backend.id, "new")} meta l4proto { tcp, udp } ${helper}dnat ${v6 ? "ip6" : "ip"} to ${to}`,
  ];
}

/** What becomes of the packets of a backend's flows, both ways. */
function backendFlows(table: string, service: NatService, backend: Backend): string[] {
  const chain = `inet ${table} ${flowChain(service.name, backend.id)}`;
  const original =
    backend.state === "maintenance"
      ? ["meta l4proto tcp reject with tcp reset", "reject"]
      : [`counter name ${counterName(service.name, backend.id, "in")}`];
  return [
    `add chain ${chain}`,
    `flush chain ${chain}`,
    ...original.map((rule) => `add rule ${chain} ct direction original ${rule}`),
    `add rule ${chain} ct direction reply counter name ${counterName(service.name, backend.id, "out")}`,
  ];
}

/** For whom the director stands in: with `hairpin` for backends, which their neighbour would answer directly. */
function masking(table: string, service: NatService): string[] {
  const chain = `inet ${table} ${maskChain(service.name)}`;
  const clients = [...new Set(service.backends.map(({ address }) => address))].join(", ");
  const rules = service.masquerade
    ? ["masquerade"]
    : service.hairpin && clients !== ""
      ? [`${ipWord[familyOf(service)]} saddr { ${clients} } masquerade`]
      : [];
  return [`add chain ${chain}`, `flush chain ${chain}`, ...rules.map((rule) => `add rule ${chain} ${rule}`)];
}

/** Elements by which the packets of flows find their backend's chain. */
function flowElements(table: string, { service }: Slotted): string[] {
  const family = familyOf(service);
  return service.vips.flatMap((vip) =>
    service.backends.map((backend) => {
      const key = `${vip.address} . ${vip.protocol} . ${portsOf(vip)} . ${backend.address} . ${backend.port ?? portsOf(vip)}`;
      const map = tierMap("flows", family, tierOf(vip));
      return `add element inet ${table} ${map} { ${key} : goto ${flowChain(service.name, backend.id)} }`;
    }),
  );
}

/** Elements by which packets find their service. `masked`: some service is masked, so each says whether it is. */
function vipElements(table: string, { service }: Slotted, masked: boolean): string[] {
  const family = familyOf(service);
  return service.vips.flatMap((vip) => {
    const key = `${vip.address} . ${vip.protocol} . ${portsOf(vip)}`;
    const add = (what: "vips" | "masks", chain: string): string =>
      `add element inet ${table} ${tierMap(what, family, tierOf(vip))} { ${key} : goto ${chain} }`;
    return [add("vips", chainName(service.name)), ...(masked ? [add("masks", maskChain(service.name))] : [])];
  });
}

/** What of `there` nobody asks for any more, or only an earlier version did. */
function stale(table: string, all: readonly Slotted[], there: NftTable): string[] {
  const t = `inet ${table}`;
  const chains = new Set([
    ...Object.keys(baseChains),
    ...all.flatMap(({ service: { name, backends } }) => [
      chainName(name),
      maskChain(name),
      ...backends.flatMap(({ id }) => [chainName(name, id), flowChain(name, id)]),
    ]),
  ]);
  const counters = new Set(
    all.flatMap(({ service: s }) => [
      refusedName(s.name),
      ...s.backends.flatMap((b) => (["new", "in", "out"] as const).map((what) => counterName(s.name, b.id, what))),
    ]),
  );
  const gone = (kind: string, names: readonly string[], known: (name: string) => boolean): string[] =>
    names.filter((name) => !known(name)).map((name) => `delete ${kind} ${t} ${name}`);
  return [
    ...gone("map", there.maps, (name) => maps.some(([known]) => known === name)),
    ...gone("set", there.sets, () => false),
    ...gone("chain", there.chains, (name) => chains.has(name)),
    ...gone(
      "counter",
      there.counters.map(({ name }) => name),
      (name) => counters.has(name),
    ),
  ];
}

/**
 * One transaction that makes the table hold exactly `all`. `there` is what it holds now: counters that stay keep
 * their values, what is no longer asked for goes.
 */
export function wholeTable(table: string, all: readonly Slotted[], there: NftTable | null): string {
  const t = `inet ${table}`;
  const masked = all.some(masks);
  const lines = [
    ...frame(table),
    `flush table ${t}`,
    ...maps.map(([name]) => `flush map ${t} ${name}`),
    ...all.flatMap((one) => [
      ...serviceChains(table, one),
      ...vipElements(table, one, masked),
      ...flowElements(table, one),
    ]),
    ...baseRules(table, all),
    ...(there ? stale(table, all, there) : []),
  ];
  return `${lines.join("\n")}\n`;
}

/** One transaction that gives one service its new set and leaves every other service alone. */
export const refreshedService = (table: string, one: Slotted): string =>
  `${[...serviceChains(table, one), ...flowElements(table, one)].join("\n")}\n`;
