/**
 * What the kernel's programs cost per packet, attached to an interface and fed live frames, by the kernel's own
 * statistics; beside it a program that only passes, and DNAT by nftables and iptables for the same packets.
 */

import type { ForwardName } from "../src/dataplane/plane-service.ts";
import { testBackend, testService } from "../src/dataplane/testing/doors.ts";
import { mac } from "../src/dataplane/testing/fixtures.ts";
import { xdpMissing } from "../src/dataplane/testing/network.ts";
import { peer } from "../src/lab/peers.ts";
import { netnsMissing } from "../src/system/netns-testing.ts";
import { defineBench, type Row, row } from "./lib.ts";
import { KatranLike } from "./support/katran-like.ts";
import { Rig } from "./support/packet-rig.ts";
import { type Costs, compare, inPasses } from "./support/packet-turns.ts";
import { type WholeWay, wholeWay } from "./support/whole-way.ts";

const VIP = "125.12.12.77";
const VIP6 = "2001:db8:12::77";
const CLIENTS = "202.20.0.1";
const CLIENTS6 = "2001:db8:20::1";
const methods = ["direct", "tunnel", "nat"] as const;

interface Case {
  name: string;
  flows: number;
  backends: number;
  /** Every slot is in a window, and the flows are written down. */
  open?: boolean;
  ipv6?: boolean;
  /** As many services on ports of one VIP, all in use: each has slots of its own to be fetched. */
  services?: number;
  /** In GUE, by tunnel alone; with a second chance every packet names others. */
  gue?: { secondChance?: true };
  /** A balancer of Katran's kind is measured too. */
  katran?: true;
}

const cases: Case[] = [
  { name: "1-flow", flows: 1, backends: 10, katran: true },
  { name: "1k-flows", flows: 1000, backends: 10, katran: true },
  { name: "100k-flows", flows: 100_000, backends: 10, katran: true },
  { name: "1M-flows", flows: 1_000_000, backends: 10, katran: true },
  { name: "ipv6-1k-flows", flows: 1000, backends: 10, ipv6: true },
  { name: "ipv6-1M-flows", flows: 1_000_000, backends: 10, ipv6: true },
  { name: "1000-backends-1k-flows", flows: 1000, backends: 1000 },
  { name: "1000-backends-1M-flows", flows: 1_000_000, backends: 1000 },
  { name: "1000-services-1k-flows", flows: 1000, backends: 10, services: 1000 },
  { name: "1000-services-1M-flows", flows: 1_000_000, backends: 10, services: 1000 },
  { name: "gue-1k-flows", flows: 1000, backends: 10, gue: {} },
  { name: "gue-1M-flows", flows: 1_000_000, backends: 10, gue: {} },
  { name: "second-chance-1k-flows", flows: 1000, backends: 10, gue: { secondChance: true } },
  { name: "second-chance-1M-flows", flows: 1_000_000, backends: 10, gue: { secondChance: true } },
  { name: "all-open-1k-flows", flows: 1000, backends: 10, open: true },
  { name: "all-open-100k-flows", flows: 100_000, backends: 10, open: true },
  { name: "all-open-ipv6-1k-flows", flows: 1000, backends: 10, open: true, ipv6: true },
];

const realOf = (i: number, ipv6 = false): string =>
  ipv6 ? `2001:db8:1::${(i + 1).toString(16)}` : `10.0.${1 + (i >> 7)}.${1 + (i & 127)}`;

const serviceOf = (backends: number, from = 0, ipv6 = false) =>
  testService(
    "web",
    [{ address: ipv6 ? VIP6 : VIP, port: 80, protocol: "tcp" as const }],
    Array.from({ length: backends }, (_, i) => testBackend(from + i + 1, realOf(from + i, ipv6), 80)),
  );

/** On ports from 80 on, over the same backends. */
const servicesOf = (count: number, backends: number) =>
  Array.from({ length: count }, (_, i) => ({
    ...serviceOf(backends),
    name: `web-${i}`,
    vips: [{ address: VIP, port: 80 + i, protocol: "tcp" as const }],
  }));

async function measure(method: ForwardName, one: Case, seconds: number): Promise<Costs> {
  const { services = 1 } = one;
  const single = { ...serviceOf(one.backends, 0, one.ipv6), ...(one.gue ? { guePort: 6080, ...one.gue } : {}) };
  const wanted = services > 1 ? servicesOf(services, one.backends) : single;
  const rig = await Rig.create(method, wanted);
  try {
    if (one.open) {
      // Other backends for every slot; those of before drain.
      rig.bench.commit(method, serviceOf(one.backends, one.backends, one.ipv6));
      const { slots } = rig.bench.plane.mustHave(method, "web");
      if (slots.open < slots.words.length) throw new Error("some slots have not opened");
    }
    const [source, target] = one.ipv6 ? [CLIENTS6, VIP6] : [CLIENTS, VIP];
    return compare(rig, rig.attachPlane(), { source, target, port: 80, flows: one.flows, services }, seconds);
  } finally {
    rig.close();
  }
}

/** The same for a balancer that does what Katran does for each packet. */
async function measureKatran(flows: number, seconds: number): Promise<Costs> {
  const rig = await Rig.create("tunnel", serviceOf(10));
  const backends = Array.from({ length: 10 }, (_, i) => realOf(i));
  const katran = new KatranLike({ address: VIP, port: 80 }, backends);
  try {
    return compare(rig, rig.attach(katran.program), { source: CLIENTS, target: VIP, port: 80, flows }, seconds);
  } finally {
    katran.close();
    rig.close();
  }
}

const NFTABLES = `table ip bench {
  chain prerouting { type nat hook prerouting priority -100;
    ip daddr ${VIP} tcp dport 80 dnat to jhash ip saddr . tcp sport mod 10 map { ${Array.from({ length: 10 }, (_, i) => `${i} : ${realOf(i)}`).join(", ")} }; }
}`;

/** The same by iptables, as its manual spreads connections: the first of ten takes one in ten, the next one in nine… */
async function iptablesRules(): Promise<string> {
  const { program, folder, env } = await peer("iptables");
  const settings = { ...env, XTABLES_LIBDIR: Object.values(env).map((path) => `${path.split(":")[0]}/xtables`)[0] };
  const at = Object.entries(folder === "/" ? {} : settings).map(([name, value]) => `${name}=${value} `);
  const every = (i: number): string => (i === 9 ? "" : `-m statistic --mode nth --every ${10 - i} --packet 0`);
  return Array.from(
    { length: 10 },
    (_, i) =>
      `${at.join("")}${program} iptables -t nat -A PREROUTING -d ${VIP} -p tcp --dport 80 ${every(i)} -j DNAT --to-destination ${realOf(i)}`,
  ).join("\n");
}

type Translator = "nat" | "nftables" | "iptables";

/**
 * The whole way by directors that translate, and by two that do not: `drop` takes packets at its door, so that making and
 * carrying them is left; `bounce` sends them back as they came.
 */
async function translated(flows: number, seconds: number): Promise<Record<Translator | "drop" | "bounce", WholeWay>> {
  // It may have to be fetched, and in a rig there is no way out.
  const iptablesLines = await iptablesRules();
  const rig = await Rig.create("nat", serviceOf(10));
  const best = (kept = false): WholeWay => wholeWay(rig, flows, seconds, { kept });
  try {
    rig.load({ source: CLIENTS, target: VIP, port: 80, flows });
    rig.attachSink();
    const drop = best(true);
    rig.attachBounce();
    const bounce = best();
    rig.attachPlane();
    const nat = best();
    rig.detach();
    // Without a program of its own a veth takes live frames only with GRO on.
    const neighbours = Array.from(
      { length: 10 },
      (_, i) => `ip neigh replace ${realOf(i)} lladdr ${mac.backend} dev eth0`,
    );
    rig.director.sh(`ethtool -K eth0 gro on; ip route replace 10.0.0.0/16 dev eth0; ${neighbours.join("; ")}`);
    rig.director.sh(`nft -f - <<'END'\n${NFTABLES}\nEND`);
    const nftables = best();
    rig.director.sh(`nft delete table ip bench\n${iptablesLines}`);
    // Other clients: what the kernel knows of the former it would go on translating.
    rig.load({ source: "202.30.0.1", target: VIP, port: 80, flows });
    return { drop, bounce, nat, nftables, iptables: best() };
  } finally {
    rig.close();
  }
}

/** CPU of the whole way; the rate that came through; what a core that does the director's part alone would carry. */
async function dnatRows(name: string, flows: number, seconds: number): Promise<Row[]> {
  const { drop, bounce, ...ways } = await translated(flows, seconds);
  const of = (path: string, unit: string, better: "lower" | "higher", value: (way: WholeWay) => number): Row => {
    const { nat, nftables, iptables } = ways;
    const peers = { nftables: value(nftables), iptables: value(iptables) };
    return row(`dnat-${name}/nat/${path}`, unit, better, value(nat), peers);
  };
  return [
    row(`dnat-${name}/drop/cpu-ns`, "ns", "lower", drop.cpu),
    row(`dnat-${name}/bounce/cpu-ns`, "ns", "lower", bounce.cpu),
    of("cpu-ns", "ns", "lower", ({ cpu }) => cpu),
    of("packets-s", "packets/s", "higher", ({ reached }) => reached),
    of("director-ns", "ns", "lower", ({ cpu }) => cpu - drop.cpu),
    of("director-packets-s", "packets/s", "higher", ({ cpu }) => 1e9 / (cpu - drop.cpu)),
  ];
}

export default defineBench({
  summary: "ns per packet of direct, tunnel and nat in the kernel, beside a bare program, nftables and iptables",
  cases: [...cases.map(({ name }) => name), "dnat"],
  async run(progress, { only, seconds }) {
    const missing = netnsMissing() ?? xdpMissing();
    if (missing) throw new Error(`cannot be measured here: ${missing}`);
    const wanted = (name: string): boolean => only.length === 0 || only.includes(name);
    const rows: Row[] = [];
    const toMeasure = new Map<string, () => Promise<Costs>>();
    const add = (name: string, cost: () => Promise<Costs>): void => {
      toMeasure.set(name, () => {
        progress(name);
        return cost();
      });
    };
    for (const one of cases.filter(({ name }) => wanted(name))) {
      for (const method of one.gue ? (["tunnel"] as const) : methods)
        add(`${one.name}/${method}`, () => measure(method, one, seconds));
      if (one.katran) add(`${one.name}/katran-like`, () => measureKatran(one.flows, seconds));
    }
    for (const [name, { own, bare, above, interval }] of await inPasses(toMeasure)) {
      rows.push(row(`${name}/ns`, "ns", "lower", own, { bare }));
      rows.push({ ...row(`${name}/above-bare-ns`, "ns", "lower", above), interval });
    }
    if (wanted("dnat")) {
      progress("dnat");
      for (const [name, flows] of [
        ["1k-flows", 1000],
        ["100k-flows", 100_000],
      ] as const) {
        rows.push(...(await dnatRows(name, flows, seconds)));
      }
    }
    return { rows };
  },
});
