import { ok, type Result, refuse } from "../core/problem.ts";
import { run } from "../runtime/child.ts";
import { hostCommand, hostCommandSync, hostProblem } from "./host-command.ts";

/** One address of a device, as `ip -json address` tells it. */
export interface IpAddress {
  device: string;
  family: "inet" | "inet6";
  address: string;
  prefix: number;
  scope: string;
}

export interface IpLink {
  name: string;
  index: number;
  mtu: number;
  /** Null on devices without a link address. */
  mac: string | null;
  /** `ether`, `loopback`, … */
  type: string;
  up: boolean;
  /** Receives and sends: the cable is in. */
  running: boolean;
}

export interface IpRoute {
  device: string;
  /** The source address that the kernel would use. */
  source: string;
  /** Next hop; null when the destination is on the link. */
  via: string | null;
  /** The destination is an address of this host. */
  local: boolean;
}

export interface IpNeighbour {
  address: string;
  device: string;
  mac: string | null;
  /** `REACHABLE`, `STALE`, `PERMANENT`, … */
  state: string[];
}

interface RawLink {
  ifname: string;
  ifindex: number;
  mtu: number;
  address?: string;
  link_type: string;
  flags: string[];
  addr_info?: { family: string; local?: string; prefixlen: number; scope: string }[];
}

const json = (args: readonly string[]): readonly string[] => ["ip", "-json", ...args];

/** ip(8) prints nothing at all, not even `[]`, where there is nothing to list. */
function fromJson<T>(text: Result<string>, map: (rows: never[]) => T): Result<T> {
  return text.ok ? ok(map(text.value.trim() === "" ? [] : JSON.parse(text.value))) : text;
}

const toAddresses = (rows: RawLink[]): IpAddress[] =>
  rows.flatMap((link) =>
    (link.addr_info ?? [])
      .filter((a) => a.local !== undefined)
      .map((a) => ({
        device: link.ifname,
        family: a.family as IpAddress["family"],
        address: a.local!,
        prefix: a.prefixlen,
        scope: a.scope,
      })),
  );

const toLinks = (rows: RawLink[]): IpLink[] =>
  rows
    .filter((row) => row.ifname !== undefined)
    .map((row) => ({
      name: row.ifname,
      index: row.ifindex,
      mtu: row.mtu,
      mac: row.link_type === "ether" && row.address ? row.address : null,
      type: row.link_type,
      up: row.flags.includes("UP"),
      running: row.flags.includes("LOWER_UP"),
    }));

/** All addresses of this network namespace. Errors: SLUICE_HOST_COMMAND. */
export const addresses = async (): Promise<Result<IpAddress[]>> =>
  fromJson(await hostCommand(json(["address", "show"])), toAddresses);

/** `addresses` without waiting on the loop. */
export const addressesSync = (): Result<IpAddress[]> =>
  fromJson(hostCommandSync(json(["address", "show"])), toAddresses);

/** All devices of this network namespace. */
export const links = async (): Promise<Result<IpLink[]>> =>
  fromJson(await hostCommand(json(["link", "show"])), toLinks);

/** `links` without waiting on the loop. */
export const linksSync = (): Result<IpLink[]> => fromJson(hostCommandSync(json(["link", "show"])), toLinks);

/** Where the kernel would send a packet to `address`; null when it has no route. */
export function routeGetSync(address: string): IpRoute | null {
  const told = hostCommandSync(json(["route", "get", address]));
  if (!told.ok) return null;
  // `via`: a gateway of the other family.
  const [row] = JSON.parse(told.value) as {
    type?: string;
    dev: string;
    prefsrc?: string;
    gateway?: string;
    via?: { host: string };
  }[];
  if (!row?.dev) return null;
  const via = row.gateway ?? row.via?.host ?? null;
  return { device: row.dev, source: row.prefsrc ?? "", via, local: row.type === "local" };
}

/** The neighbour table of one device. */
export async function neighbours(device: string): Promise<Result<IpNeighbour[]>> {
  const told = await hostCommand(json(["neigh", "show", "dev", device]));
  return fromJson(told, (rows: { dst: string; lladdr?: string; state?: string[] }[]) =>
    rows.map((row) => ({ address: row.dst, device, mac: row.lladdr ?? null, state: row.state ?? [] })),
  );
}

/**
 * The routes of one family in the main table, each as the words that `ip route replace` takes to make it again.
 * Text, not JSON: it carries protocol, metric, scope and source without our knowing each.
 */
export async function routeTexts(family: 4 | 6, filter: readonly string[] = []): Promise<Result<string[]>> {
  const told = await hostCommand(["ip", `-${family}`, "-o", "route", "show", ...filter]);
  if (!told.ok) return told;
  const states = / (linkdown|dead|offload|trap|rt_offload|rt_trap)\b/g;
  return ok(
    told.value
      .split("\n")
      .map((line) => line.replace(/\\/g, "").replace(states, "").replace(/\s+/g, " ").trim())
      .filter((line) => line !== "" && !line.startsWith("nexthop")),
  );
}

/** Runs one `ip` command that changes something. */
export const ip = (...args: string[]): Promise<Result<string>> => hostCommand(["ip", ...args]);

/** Many `ip` commands that change something, by one process. In the order of `lines`, what came of each. */
export async function ipBatch(lines: readonly string[]): Promise<Result<unknown>[]> {
  const done: Result<unknown>[] = lines.map(() => ok(null));
  if (lines.length === 0) return done;
  const { code, stderr } = await run(["ip", "-force", "-batch", "-"], { input: `${lines.join("\n")}\n` });
  let failed = 0;
  let said: string[] = [];
  const fail = (i: number, why: string): void => {
    failed++;
    done[i] = refuse(hostProblem("SLUICE_HOST_COMMAND", `ip ${lines[i]}: ${why}`));
  };
  for (const text of stderr.split("\n")) {
    // What it says of a command stands before the number of its line.
    const [, number] = /^Command failed -:(\d+)$/.exec(text) ?? [];
    if (number === undefined) {
      if (text.trim() !== "") said.push(text.trim());
      continue;
    }
    fail(Number(number) - 1, said.join("; ") || "failed");
    said = [];
  }
  // It has not run to its end, or never began: which of them are done is not known.
  if (code !== 0 && failed === 0) for (const i of lines.keys()) fail(i, said.join("; ") || `exit code ${code}`);
  return done;
}

/**
 * Takes these neighbours out of the kernel's table, in the order of `all` what came of each; those that are not there are
 * left out: `ip neigh del` of one of these ends a whole batch, and what stands behind it would stay.
 */
export async function forgetNeighbours(
  all: readonly { address: string; device: string }[],
): Promise<Result<unknown>[]> {
  const there = new Set<string>();
  for (const device of new Set(all.map((one) => one.device))) {
    const known = await neighbours(device);
    // A device that has gone has taken its neighbours along.
    if (known.ok) for (const { address } of known.value) there.add(`${address} ${device}`);
  }
  const lines = all.map(({ address, device }) => `${address} dev ${device}`);
  const left = all.flatMap(({ address, device }, i) => (there.has(`${address} ${device}`) ? [i] : []));
  const done = await ipBatch(left.map((i) => `neigh del ${lines[i]}`));
  const results: Result<unknown>[] = all.map(() => ok(null));
  for (const [n, i] of left.entries()) results[i] = done[n]!;
  return results;
}
