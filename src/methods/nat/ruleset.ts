import { isIPv6 } from "../../core/address.ts";
import type { Backend } from "../../core/backend.ts";
import type { Protocol } from "../../core/service.ts";
import type { NftTable } from "../../system/nft.ts";
import type { NatService } from "./compile.ts";
import { hashSeed } from "./slots.ts";

/**
 * The rules of the nftables engine, as text, pure. Names: chain `s.SERVICE` spreads new flows over the chains
 * `s.SERVICE.ID`, which translate; counters `n.SERVICE.ID.{new,in,out}` and `n.SERVICE.none`. Service names hold no
 * dot, and nothing of a user's stands in a rule but addresses and numbers.
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

/** `VIP . port . backend . port`, as conntrack knows a flow's two ends. */
const flowKey = (family: Family): string => {
  const ip = ipWord[family];
  return `ct original ${ip} daddr . ct original proto-dst . ct reply ${ip} saddr . ct reply proto-src`;
};

export const chainName = (service: string, backend?: number): string =>
  backend === undefined ? `s.${service}` : `s.${service}.${backend}`;
export const counterName = (service: string, backend: number, what: "new" | "in" | "out"): string =>
  `n.${service}.${backend}.${what}`;
export const refusedName = (service: string): string => `n.${service}.none`;

const familyOf = (service: NatService): Family => (isIPv6(service.vips[0]!.address) ? 6 : 4);

/** The parts of the table that are the same for every configuration. `add` of what is there already changes nothing. */
function frame(table: string): string[] {
  const t = `inet ${table}`;
  const lines = [`add table ${t}`];
  for (const family of FAMILIES) {
    const address = addressType[family];
    const flow = `${address} . inet_service . ${address} . inet_service`;
    lines.push(
      `add map ${t} vips${family} { type ${address} . inet_proto . inet_service : verdict; }`,
      `add set ${t} masked${family} { type ${address} . inet_proto . inet_service; }`,
      `add set ${t} hairpin${family} { type ${address} . inet_proto . inet_service . ${address}; }`,
      `add set ${t} ftp${family} { type ${address} . inet_service; }`,
      `add ct helper ${t} ftp.${family} { type "ftp" protocol tcp; l3proto ${ipWord[family]}; }`,
    );
    for (const protocol of PROTOCOLS)
      lines.push(
        `add map ${t} in.${protocol}${family} { type ${flow} : counter; }`,
        `add map ${t} out.${protocol}${family} { type ${flow} : counter; }`,
        `add set ${t} cut.${protocol}${family} { type ${flow}; }`,
      );
  }
  lines.push(
    // Before dstnat, while the packet still names the VIP.
    `add chain ${t} helpers { type filter hook prerouting priority mangle; policy accept; }`,
    `add chain ${t} arriving { type nat hook prerouting priority dstnat; policy accept; }`,
    `add chain ${t} own { type nat hook output priority -100; policy accept; }`,
    `add chain ${t} through { type filter hook forward priority filter; policy accept; }`,
    `add chain ${t} leaving { type nat hook postrouting priority srcnat; policy accept; }`,
  );
  return lines;
}

const mapsAndSets = FAMILIES.flatMap((family) => [
  `map vips${family}`,
  `set masked${family}`,
  `set hairpin${family}`,
  `set ftp${family}`,
  ...PROTOCOLS.flatMap((protocol) => [
    `map in.${protocol}${family}`,
    `map out.${protocol}${family}`,
    `set cut.${protocol}${family}`,
  ]),
]);

/** Rules of the base chains, for the families and protocols that are in use: each rule costs every packet. */
function baseRules(table: string, all: readonly Slotted[]): string[] {
  const lines: string[] = [];
  const rule = (chain: string, text: string): number => lines.push(`add rule inet ${table} ${chain} ${text}`);
  for (const family of FAMILIES) {
    const ip = ipWord[family];
    const mine = all.filter(({ service }) => familyOf(service) === family);
    if (mine.length === 0) continue;
    for (const chain of ["arriving", "own"]) rule(chain, `${ip} daddr . meta l4proto . th dport vmap @vips${family}`);
    if (mine.some(({ service }) => service.helper === "ftp"))
      rule("helpers", `${ip} daddr . tcp dport @ftp${family} ct helper set "ftp.${family}"`);
    for (const protocol of PROTOCOLS) {
      if (!mine.some(({ service }) => service.vips.some((vip) => vip.protocol === protocol))) continue;
      const flow = flowKey(family);
      const l4 = `meta l4proto ${protocol}`;
      const refusal = protocol === "tcp" ? "reject with tcp reset" : "reject";
      rule("through", `${l4} ct direction original ${flow} @cut.${protocol}${family} ${refusal}`);
      rule("through", `${l4} ct direction original counter name ${flow} map @in.${protocol}${family}`);
      rule("through", `${l4} ct direction reply counter name ${flow} map @out.${protocol}${family}`);
      if (mine.some(({ service }) => service.hairpin))
        rule(
          "leaving",
          `${l4} ct status dnat ct original ${ip} daddr . meta l4proto . ct original proto-dst . ${ip} saddr @hairpin${family} masquerade`,
        );
      if (mine.some(({ service }) => service.masquerade))
        rule(
          "leaving",
          `${l4} ct status dnat ct original ${ip} daddr . meta l4proto . ct original proto-dst @masked${family} masquerade`,
        );
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
    ...service.backends.flatMap((backend) => backendChain(table, service, backend)),
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
  // Without a port of its own a backend gets the listener's: the port then stays as it came.
  const to = backend.port === null ? address : `${address}:${backend.port}`;
  return [
    ...(["new", "in", "out"] as const).map((what) => `add counter ${t} ${counterName(service.name, backend.id, what)}`),
    `add chain ${t} ${chain}`,
    `flush chain ${t} ${chain}`,
    `add rule ${t} ${chain} counter name ${counterName(service.name, backend.id, "new")} meta l4proto { tcp, udp } dnat ${v6 ? "ip6" : "ip"} to ${to}`,
  ];
}

/** Elements by which flows are counted, and those of backends in maintenance cut. */
function flowElements(table: string, { service }: Slotted): string[] {
  const t = `inet ${table}`;
  const family = familyOf(service);
  return service.vips.flatMap((vip) =>
    service.backends.flatMap((backend) => {
      const key = `${vip.address} . ${vip.port} . ${backend.address} . ${backend.port ?? vip.port}`;
      const kind = `${vip.protocol}${family}`;
      const cut = `element ${t} cut.${kind} { ${key} }`;
      return [
        `add element ${t} in.${kind} { ${key} : ${counterName(service.name, backend.id, "in")} }`,
        `add element ${t} out.${kind} { ${key} : ${counterName(service.name, backend.id, "out")} }`,
        `add ${cut}`,
        // `delete` alone would fail where there is none.
        ...(backend.state === "maintenance" ? [] : [`delete ${cut}`]),
      ];
    }),
  );
}

/** Elements by which packets find their service. */
function vipElements(table: string, { service }: Slotted): string[] {
  const t = `inet ${table}`;
  const family = familyOf(service);
  return service.vips.flatMap((vip) => [
    `add element ${t} vips${family} { ${vip.address} . ${vip.protocol} . ${vip.port} : goto ${chainName(service.name)} }`,
    ...(service.masquerade
      ? [`add element ${t} masked${family} { ${vip.address} . ${vip.protocol} . ${vip.port} }`]
      : []),
    // A backend that asks the VIP would be answered by its neighbour directly, from an address it never asked.
    ...(service.hairpin ? service.backends : []).map(
      ({ address }) =>
        `add element ${t} hairpin${family} { ${vip.address} . ${vip.protocol} . ${vip.port} . ${address} }`,
    ),
    ...(service.helper === "ftp" ? [`add element ${t} ftp${family} { ${vip.address} . ${vip.port} }`] : []),
  ]);
}

/**
 * One transaction that makes the table hold exactly `all`. `there` is what it holds now: counters that stay keep
 * their values, what is no longer asked for goes.
 */
export function wholeTable(table: string, all: readonly Slotted[], there: NftTable | null): string {
  const t = `inet ${table}`;
  const chains = new Set(
    all.flatMap(({ service: s }) => [chainName(s.name), ...s.backends.map((b) => chainName(s.name, b.id))]),
  );
  const counters = new Set(
    all.flatMap(({ service: s }) => [
      refusedName(s.name),
      ...s.backends.flatMap((b) => (["new", "in", "out"] as const).map((what) => counterName(s.name, b.id, what))),
    ]),
  );
  const staleChains = (there?.chains ?? []).filter((name) => name.startsWith("s.") && !chains.has(name));
  const staleCounters = (there?.counters ?? []).filter(({ name }) => !counters.has(name));
  const lines = [
    ...frame(table),
    `flush table ${t}`,
    ...mapsAndSets.map((what) => `flush ${what.replace(" ", ` ${t} `)}`),
    ...all.flatMap((one) => [...serviceChains(table, one), ...vipElements(table, one), ...flowElements(table, one)]),
    ...baseRules(table, all),
    ...staleChains.map((name) => `delete chain ${t} ${name}`),
    ...staleCounters.map(({ name }) => `delete counter ${t} ${name}`),
  ];
  return `${lines.join("\n")}\n`;
}

/** One transaction that gives one service its new set and leaves every other service alone. */
export const refreshedService = (table: string, one: Slotted): string =>
  `${[...serviceChains(table, one), ...flowElements(table, one)].join("\n")}\n`;
