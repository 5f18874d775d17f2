import { existsSync, readdirSync } from "node:fs";
import { isIPv6 } from "../core/address.ts";
import type { HostChange } from "../core/host-change.ts";
import { SluiceError } from "../core/problem.ts";
import { createHostChanges, type HostChanges } from "./host-changes.ts";
import { hostProblem } from "./host-command.ts";
import { type IpLink, links, routeGetSync, routeTexts } from "./ip.ts";
import { readSysctl } from "./sysctl.ts";

/** How a real server is addressed: `direct` by its link address alone, `tunnel` by packets wrapped in IPIP or GUE. */
export type RealServerMethod = "direct" | "tunnel";
export const realServerMethods: readonly RealServerMethod[] = ["direct", "tunnel"];

export interface RealServerRequest {
  method: RealServerMethod;
  vips: string[];
  /** Where wrapped packets arrive; null: the device of the default route. */
  device: string | null;
  /** Whose tunnels alone are taken, and of whom a packet without its socket here goes on to others; empty: everybody's. */
  directors?: string[];
}

/** What was asked of this host, by method. */
export type RealServerState = Partial<Record<RealServerMethod, Omit<RealServerRequest, "method">>>;

/** Unwraps by a program of ours, where the kernel has no ipip or directors are named; made by the data plane. */
export interface Decap {
  /** On `device`, for wrapped packets to `vips` from `directors` (none: from everybody); calling it again replaces all. */
  attach(device: string, vips: readonly string[], directors: readonly string[]): Promise<{ describe(): string }>;
  detach(): Promise<void>;
}

export interface RealServerDoors {
  /** `/run/sluice/NAME` of an instance of its own. */
  runDir: string;
  bpfDir: string;
  decap: Decap;
}

/** The device that unwraps where the kernel has ipip. */
export const IPIP_DEVICE = "sluice-ipip";
/** What an outer header adds, bytes: of IPv4 around IPv4 (RFC 2003), and the largest around IPv6 (RFC 2473). */
const OUTER = { 4: 20, 6: 40 } as const;
/** What GUE that names two others adds: outer IP header, UDP header, and the names in their frame; bytes. */
const NAMING_HEADERS = { ipv4: 20 + 8 + 16, ipv6: 40 + 8 + 40 };
/** IP header and TCP header without options, bytes. */
const TCP_HEADERS = { 4: 40, 6: 60 } as const;
/** Links of a larger MTU hold a wrapped packet of any path of 1,500 bytes. */
const LARGEST_TIGHT_MTU = 1500;

type Family = 4 | 6;

/** The MSS to advertise so that a segment with `added` bytes around it still fits the link; null where the link has room. */
export const advisedMss = (mtu: number, family: Family = 4, added: number = OUTER[family]): number | null =>
  mtu > LARGEST_TIGHT_MTU ? null : mtu - added - TCP_HEADERS[family];

const addedBy = (directors: readonly string[], family: Family): number =>
  directors.length === 0 ? OUTER[family] : NAMING_HEADERS[directors.some((one) => one.includes(":")) ? "ipv6" : "ipv4"];

const sysctl = (key: string, value: string, rule: "set" | "max" = "set"): HostChange => ({
  kind: "sysctl",
  key: `net.ipv4.conf.${key}`,
  value,
  rule,
});

/** The VIPs on lo: held, but on no link. */
const vipAddresses = (vips: readonly string[]): HostChange[] =>
  vips.map((address) => ({ kind: "address", address, prefix: isIPv6(address) ? 128 : 32, device: "lo" }));

/**
 * Silence about the VIPs: answer ARP only for addresses of the asked interface, and never ask from a VIP. Both must
 * stand on `all`: the kernel takes the larger of `all` and the interface the packet came by, and lo's is never asked.
 * IPv6 needs nothing: an address on lo is not answered for on other interfaces.
 */
const arpChanges = (vips: readonly string[]): HostChange[] =>
  vips.every(isIPv6) ? [] : [sysctl("all.arp_ignore", "1", "max"), sysctl("all.arp_announce", "2", "max")];

/** What the MSS advice asks for: changes of routes, and commands for those that are not ours to make anew. */
export interface MssAdvice {
  changes: HostChange[];
  /** A command for each route that lacks it: one by several gateways, one that a router has told of. */
  byHand: string[];
}

/**
 * MSS advice on every route that leaves by a tight link, of the families that VIPs are of: only what the advice limits
 * will come back wrapped.
 */
export async function mssAdvice({
  vips,
  directors = [],
}: Pick<RealServerRequest, "vips" | "directors">): Promise<MssAdvice> {
  const all = await links();
  if (!all.ok) throw new SluiceError(all.problems[0]!);
  const byName = new Map(all.value.map((link): [string, IpLink] => [link.name, link]));
  const advice: MssAdvice = { changes: [], byHand: [] };
  for (const family of new Set(vips.map((vip): Family => (isIPv6(vip) ? 6 : 4)))) {
    const routes = await routeTexts(family);
    if (!routes.ok) throw new SluiceError(routes.problems[0]!);
    /** Of the tightest of these devices. */
    const advise = (devices: readonly string[]): number | null => {
      const tight = devices.flatMap((name) => {
        const link = byName.get(name);
        return link?.type === "ether" ? (advisedMss(link.mtu, family, addedBy(directors, family)) ?? []) : [];
      });
      return tight.length === 0 ? null : Math.min(...tight);
    };
    for (const text of routes.value) {
      const advmss = advise([...text.matchAll(/ dev (\S+)/g)].map(([, name]) => name!));
      // No client is on a link alone.
      if (advmss !== null && !text.startsWith("fe80:"))
        adviseRoute(text, { family, advmss, all: routes.value }, advice);
    }
  }
  return advice;
}

/** Adds to `advice` what one route asks for, as ip(8) tells it among `all`. */
function adviseRoute(
  text: string,
  { family, advmss, all }: { family: Family; advmss: number; all: readonly string[] },
  advice: MssAdvice,
): void {
  const [head, ...hops] = text.split(" nexthop ");
  const [to, ...rest] = head!.replace(/ advmss \d+/, "").split(" ");
  const given = head!.includes(` advmss ${advmss}`);
  const [, via] = / via ((?:inet6 )?\S+)/.exec(text) ?? [];
  const [, device] = / dev (\S+)/.exec(text)!;
  if (hops.length > 0) {
    const words = [to, "advmss", advmss, ...rest, ...hops.map((hop) => `nexthop ${hop}`)];
    if (!given) advice.byHand.push(`ip -${family} route change ${words.join(" ")}`);
    return;
  }
  if (/ proto ra\b| expires /.test(text)) {
    // It has a life that the kernel renews: one of our own, before it, is the administrator's to make.
    const before = all.some((other) => other.startsWith(`${to} `) && other.includes(` advmss ${advmss}`));
    const way = via ? ` via ${via}` : "";
    if (!before) advice.byHand.push(`ip -6 route add ${to}${way} dev ${device} metric ${BEFORE_RA} advmss ${advmss}`);
    return;
  }
  // The word alone is of IPv4.
  const target = to === "default" && family === 6 ? "::/0" : to!;
  advice.changes.push({ kind: "route", to: target, device: device!, ...(via ? { via } : {}), advmss });
}

/** Of routes that routers tell of the metric is 1024. */
const BEFORE_RA = 512;

/** Prepares this host as a real server, undoes that, and says how it stands. */
export interface RealServer {
  /** Idempotent; VIPs add up. Returns what now stands, one line each. Throws SluiceError. */
  up(request: RealServerRequest): Promise<string[]>;
  /** Undoes exactly what `up` did: for some VIPs or, without, for all; of one method or of both. Throws SluiceError. */
  down(what?: { method?: RealServerMethod; vips?: readonly string[] }): Promise<void>;
  /** What `up` was asked for, as remembered. */
  state(): RealServerState;
}

const NOTE = "realserver";
const owner = (method: RealServerMethod): string => `realserver-${method}`;

export function createRealServer(doors: RealServerDoors): RealServer {
  const host = createHostChanges(doors.runDir);
  const state = (): RealServerState => host.note<RealServerState>(NOTE) ?? {};
  const remember = (method: RealServerMethod, value: RealServerState[RealServerMethod] | null): Promise<void> => {
    const { [method]: _old, ...rest } = state();
    const next: RealServerState = value ? { ...rest, [method]: value } : rest;
    return host.setNote(NOTE, Object.keys(next).length > 0 ? next : null);
  };
  return {
    state,
    async up({ method, vips, device, directors: named }) {
      const before = state()[method];
      const all = [...new Set([...(before?.vips ?? []), ...vips])];
      const inbound = device ?? before?.device ?? null;
      const directors = [...new Set([...(before?.directors ?? []), ...(named ?? [])])];
      await remember(method, { vips: all, device: inbound, directors });
      // Silent first, then the address: the other way round a request in between would be answered.
      await host.change([...arpChanges(all), ...vipAddresses(all)], owner(method));
      const said = [`${all.join(", ")} on lo, silent to ARP`];
      if (method !== "tunnel") return said;
      try {
        return [...said, ...(await tunnelUp(host, doors, { vips: all, device: inbound, directors }))];
      } catch (error) {
        // It has not moved there.
        if (before) await remember(method, { vips: all, device: before.device, directors });
        throw error;
      }
    },
    async down(what = {}) {
      for (const method of realServerMethods) {
        const mine = state()[method];
        if (!mine || (what.method && what.method !== method)) continue;
        const left = what.vips ? mine.vips.filter((vip) => !what.vips!.includes(vip)) : [];
        if (left.length > 0) {
          const gone = mine.vips.filter((vip) => !left.includes(vip));
          await host.undo(vipAddresses(gone), owner(method));
          await remember(method, { ...mine, vips: left });
          const inbound = mine.device ?? defaultDevice();
          if (method === "tunnel" && inbound && existsSync(doors.bpfDir))
            await doors.decap.attach(inbound, left, mine.directors ?? []);
          continue;
        }
        if (method === "tunnel" && existsSync(doors.bpfDir)) await doors.decap.detach();
        await host.undo(ownedBy(host, owner(method)), owner(method));
        await remember(method, null);
      }
    },
  };
}

const ownedBy = (host: HostChanges, name: string): HostChange[] =>
  host
    .applied()
    .filter(({ owners }) => owners.includes(name))
    .map(({ change }) => change);

/** Unwrapping by the kernel where it can, else by our program, and advice to clients about the room that it takes. */
async function tunnelUp(
  host: HostChanges,
  doors: RealServerDoors,
  asked: Required<Omit<RealServerRequest, "method">>,
): Promise<string[]> {
  const said = [await unwrap(host, doors, asked)];
  const { changes: advice, byHand } = await mssAdvice(asked);
  const wanted = new Set(advice.map((change) => JSON.stringify(change)));
  const old = ownedBy(host, owner("tunnel")).filter((one) => one.kind === "route" && !wanted.has(JSON.stringify(one)));
  await host.undo(old, owner("tunnel"));
  await host.change(advice, owner("tunnel"));
  if (advice.length > 0) said.push(`MSS advice on ${advice.length} routes`);
  for (const command of byHand)
    said.push(`MSS advice that is yours to give, on a route that is not ours to make anew: ${command}`);
  return said;
}

async function unwrap(
  host: HostChanges,
  doors: RealServerDoors,
  { device, vips, directors }: Required<Omit<RealServerRequest, "method">>,
): Promise<string> {
  const kernel: HostChange = { kind: "ipip", name: IPIP_DEVICE };
  // Only our program knows directors from strangers, sockets that are here from those that are not, and IPv6 inside.
  if (directors.length > 0 || vips.some(isIPv6)) {
    const before = ownedBy(host, owner("tunnel")).filter((one) => one.kind === "ipip" || isFilter(one));
    await host.undo(before, owner("tunnel"));
  } else if (await unwrapByKernel(host, kernel)) return `IPIP unwrapped by the kernel (${IPIP_DEVICE})`;
  const inbound = device ?? defaultDevice();
  if (inbound === null)
    throw new SluiceError(
      hostProblem(
        "SLUICE_HOST_COMMAND",
        "no default route says where wrapped packets arrive",
        "Name it with --device.",
      ),
    );
  await host.change([{ kind: "bpf-pins", path: doors.bpfDir }], owner("tunnel"));
  const attached = await doors.decap.attach(inbound, vips, directors);
  return attached.describe();
}

const FILTERS = "net/ipv4/conf";
const filter = (device: string, value: string, rule: "set" | "max"): HostChange => ({
  kind: "sysctl",
  key: `${FILTERS}/${device}/rp_filter`,
  value,
  rule,
});
const isFilter = (change: HostChange): boolean => change.kind === "sysctl" && change.key.endsWith("/rp_filter");

const unfiltered = [filter("all", "0", "set"), filter(IPIP_DEVICE, "0", "set")];

/** Every other device, and those to come, keeps the filter that `all` gave it. */
function filtersKept(): HostChange[] {
  const all = readSysctl(`${FILTERS}/all/rp_filter`) ?? "0";
  if (all === "0") return [];
  const others = readdirSync(`/proc/sys/${FILTERS}`).filter((name) => !["all", "lo", IPIP_DEVICE].includes(name));
  return others.map((device) => filter(device, all, "max"));
}

/** False where the kernel has no ipip. */
async function unwrapByKernel(host: HostChanges, kernel: HostChange): Promise<boolean> {
  try {
    await host.change([kernel], owner("tunnel"));
    // The unwrapped packet seems to come by the ipip device, from a client that is routed by another: the strict
    // reverse path filter would drop it without a word. The larger of `all` and the device counts, so both.
    await host.change([...filtersKept(), ...unfiltered], owner("tunnel"));
    return true;
  } catch (thrown) {
    if (!(thrown instanceof SluiceError) || !/Unknown device type|not supported/i.test(thrown.problem.message))
      throw thrown;
    await host.undo([kernel], owner("tunnel"));
    return false;
  }
}

/** The device of the default route; null when there is none. */
export const defaultDevice = (): string | null => routeGetSync("198.51.100.1")?.device ?? null;
