import type { MethodName } from "../core/service.ts";
import type { PeerName } from "./peers.ts";

/** A host's place on a network (a switch). The first interface of a host is `eth0`, the second `eth1`, and so on. */
export interface Attachment {
  network: string;
  /** `125.12.12.12/24`, `2001:db8::1/64`. */
  addresses: readonly string[];
}

/** One of the lab's programs (`src/lab/programs/NAME.ts`) that a host runs from the start. */
export interface ProgramRun {
  program: "http-backend" | "udp-echo" | "tcp-echo";
  args: readonly string[];
}

/** Sluice on a host: the configuration it runs, relative to the project. */
export interface DirectorRun {
  config: string;
  /** Prepared, but holds no VIP until promoted. */
  standby?: boolean;
  /** Not started with the lab: `sluice lab exec` or a test starts it. */
  spare?: boolean;
}

export type Role = "client" | "router" | "director" | "proxy" | "backend";

export interface Host {
  name: string;
  role: Role;
  interfaces: readonly Attachment[];
  /** Default gateway. */
  gateway?: string;
  routes?: readonly { to: string; via: string }[];
  /** The lab makes a router of it. A director sets its own forwarding. */
  forwards?: boolean;
  /** Runs XDP programs that transmit: its ends at the switch get a native program too, without which veth drops them. */
  xdp?: boolean;
  sysctls?: Readonly<Record<string, string>>;
  programs?: readonly ProgramRun[];
  director?: DirectorRun;
  /** Prepared by `sluice realserver up`. */
  realServer?: { method: MethodName; vips: readonly string[] };
}

/** A test network as data. Hosts become network namespaces, networks become bridges in a namespace of their own. */
export interface Topology {
  name: string;
  summary: string;
  /** MTU 1500 where none is given. */
  networks: readonly { name: string; mtu?: number }[];
  hosts: readonly Host[];
  /** Programs of others that `tries` use and a host may lack. */
  peers?: readonly PeerName[];
  /** Commands that show it, each on one host. */
  tries: readonly { host: string; command: string }[];
}

/** The bare address of `10.0.0.1/24`. */
export const bareAddress = (cidr: string): string => cidr.slice(0, cidr.indexOf("/"));

/** The first address of a host. Throws for a host that is not there: topologies are constants. */
export function addressOf(topology: Topology, host: string, index = 0): string {
  const cidr = hostOf(topology, host).interfaces[index]?.addresses[0];
  if (!cidr) throw new Error(`host ${host} of ${topology.name} has no address on interface ${index}`);
  return bareAddress(cidr);
}

export function hostOf(topology: Topology, name: string): Host {
  const host = topology.hosts.find((h) => h.name === name);
  if (!host) throw new Error(`no host ${name} in ${topology.name}: ${topology.hosts.map((h) => h.name).join(", ")}`);
  return host;
}

/** Locally administered MAC that shows the address: 125.12.12.12 becomes 02:00:7d:0c:0c:0c. */
export function macOf(cidr: string): string {
  const parts = bareAddress(cidr).split(".").map(Number);
  return ["02", "00", ...parts.map((n) => n.toString(16).padStart(2, "0"))].join(":");
}

/** MAC of a host's interface. */
export const hostMac = (topology: Topology, host: string, index = 0): string =>
  macOf(`${addressOf(topology, host, index)}/32`);
