import type { Result } from "../core/problem.ts";
import { hostCommand } from "../system/host-command.ts";
import { parseMac } from "../system/net.ts";
import { type FoundRoute, getRoutes } from "../system/route-get.ts";

/** The way to an address as the kernel's FIB tells it. */
export interface Route {
  device: string;
  /** The address whose link address is needed: the gateway, or the destination itself. */
  hop: string;
  /** The director's own address towards it. */
  source: string;
  /** The destination is an address of this host. */
  local: boolean;
  /** Largest IP packet that fits, as routers on the way have told; absent: the device's MTU counts. */
  mtu?: number;
}

export interface Device {
  index: number;
  mtu: number;
  mac: Uint8Array;
  /** Of a VLAN device (802.1Q): the interface that carries its frames. XDP runs and transmits there, frames with this tag. */
  parent: string | null;
  vlan: number;
  /** Driver of a device that is none of metal: `veth`, `vlan`, `bridge` …; null: not told. */
  kind: string | null;
  /** How an XDP program is attached; null when none is. */
  xdp: "native" | "generic" | "offloaded" | null;
}

/** IFLA_XDP_ATTACHED of <linux/if_link.h>: driver, skb, hardware. */
const xdpModes: Record<number, Device["xdp"]> = { 1: "native", 2: "generic", 3: "offloaded" };

interface LinkRow {
  ifname: string;
  ifindex: number;
  mtu: number;
  address?: string;
  link_type: string;
  xdp?: { mode: number };
  /** Name of the interface below. */
  link?: string;
  linkinfo?: { info_kind?: string; info_data?: { id?: number; protocol?: string } };
}

const textOf = (told: Result<string>): string => (told.ok ? told.value : "");

/** What ip(8) prints as JSON; of nothing it may print nothing. */
const rowsOf = <T>(text: string): T[] => (text.trim() === "" ? [] : (JSON.parse(text) as T[]));

/** Routes to many addresses, of one gateway one object; an address without a route is absent. Throws SluiceError. */
export async function routesTo(addresses: readonly string[]): Promise<Map<string, Route>> {
  const routes = new Map<string, Route>();
  const byGateway = new Map<FoundRoute, Route>();
  for (const [address, found] of await getRoutes(addresses)) {
    const { device, gateway, source, local } = found;
    const route = byGateway.get(found) ?? { device, hop: gateway ?? address, source: source ?? "", local };
    if (gateway !== null) byGateway.set(found, route);
    routes.set(address, route);
  }
  return routes;
}

/** Every Ethernet device of this network namespace, by name. */
export async function devices(): Promise<Map<string, Device>> {
  return toDevices(textOf(await hostCommand(["ip", "-json", "-details", "link", "show"])));
}

/** The devices of `ip -json -details link show`. */
export function toDevices(text: string): Map<string, Device> {
  const rows = rowsOf<LinkRow>(text);
  const found = new Map<string, Device>();
  for (const row of rows) {
    const mac = row.link_type === "ether" ? parseMac(row.address ?? "") : null;
    if (!mac) continue;
    const tagged = row.linkinfo?.info_kind === "vlan" && row.linkinfo.info_data?.protocol !== "802.1ad";
    found.set(row.ifname, {
      index: row.ifindex,
      mtu: row.mtu,
      mac,
      parent: tagged ? (row.link ?? null) : null,
      vlan: tagged ? (row.linkinfo?.info_data?.id ?? 0) : 0,
      kind: row.linkinfo?.info_kind ?? null,
      xdp: xdpModes[row.xdp?.mode ?? 0] ?? null,
    });
  }
  return found;
}

const dead = new Set(["FAILED", "INCOMPLETE", "NONE"]);

/** The neighbour table by `device|address`: link addresses; null where nobody answers. */
export async function neighbours(): Promise<Map<string, Uint8Array | null>> {
  const told = textOf(await hostCommand(["ip", "-json", "neigh", "show"]));
  const rows = rowsOf<{ dst: string; dev: string; lladdr?: string; state?: string[] }>(told);
  const found = new Map<string, Uint8Array | null>();
  for (const row of rows) {
    const lives = !row.state?.some((state) => dead.has(state));
    found.set(`${row.dev}|${row.dst}`, lives ? parseMac(row.lladdr ?? "") : null);
  }
  return found;
}
