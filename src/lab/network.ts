import { type Host, macOf, type Topology } from "./topology.ts";

/** The namespace that holds all bridges of a lab. */
export const SWITCH = "switch";

export const namespaceOf = (id: string, host: string): string => `slu${id}-${host}`;

/** The switch's end of a host's cable: `director.0`. */
export const portOf = (host: string, index: number): string => `${host}.${index}`;

/** Names that the kernel or the lab cannot hold, or references to nothing; empty when all is well. */
export function checkTopology(topology: Topology): string[] {
  const wrong: string[] = [];
  const networks = new Set(topology.networks.map((n) => n.name));
  const names = new Set<string>([SWITCH]);
  for (const host of topology.hosts) {
    if (names.has(host.name)) wrong.push(`two hosts are called ${host.name}`);
    names.add(host.name);
    if (portOf(host.name, 9).length > 15) wrong.push(`the name ${host.name} is too long for an interface`);
    for (const { network } of host.interfaces)
      if (!networks.has(network)) wrong.push(`${host.name} is on ${network}, which is no network`);
  }
  return wrong;
}

/** `ip -batch` text, run in the root namespace: namespaces and cables. */
export function cableCommands(topology: Topology, id: string): string {
  const spaces = [SWITCH, ...topology.hosts.map((h) => h.name)].map((h) => `netns add ${namespaceOf(id, h)}`);
  const cables = topology.hosts.flatMap((host) =>
    host.interfaces.map(({ addresses }, i) => {
      const mac = addresses[0]?.includes(".") ? ` address ${macOf(addresses[0])}` : "";
      const near = `link add name eth${i}${mac} netns ${namespaceOf(id, host.name)}`;
      return `${near} type veth peer name ${portOf(host.name, i)} netns ${namespaceOf(id, SWITCH)}`;
    }),
  );
  return [...spaces, ...cables].join("\n");
}

/** `ip -batch` text for the switch: bridges, their ports, and a native pass program where a host transmits by XDP. */
export function switchCommands(topology: Topology, passProgram: string | null): string {
  const lines: string[] = [];
  const mtu = (network: string) => topology.networks.find((n) => n.name === network)?.mtu ?? 1500;
  topology.networks.forEach((network, i) => {
    lines.push(
      `link add name br${i} mtu ${mtu(network.name)} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
    );
    lines.push(`link set dev br${i} addrgenmode none up`);
  });
  for (const host of topology.hosts)
    host.interfaces.forEach(({ network }, i) => {
      const bridge = topology.networks.findIndex((n) => n.name === network);
      const port = portOf(host.name, i);
      lines.push(`link set dev ${port} mtu ${mtu(network)} addrgenmode none master br${bridge} up`);
      if (host.xdp && passProgram) lines.push(`link set dev ${port} xdpdrv obj ${passProgram} sec xdp`);
    });
  return lines.join("\n");
}

/** `ip -batch` text for one host: addresses and routes. */
export function hostCommands(topology: Topology, host: Host): string {
  const lines = ["link set dev lo up"];
  host.interfaces.forEach(({ network, addresses }, i) => {
    const mtu = topology.networks.find((n) => n.name === network)?.mtu ?? 1500;
    // No link-local address: captures then hold what the test sends and nothing else.
    lines.push(`link set dev eth${i} mtu ${mtu} addrgenmode none up`);
    for (const address of addresses)
      lines.push(`address add ${address} dev eth${i}${address.includes(":") ? " nodad" : " brd +"}`);
  });
  if (host.gateway) lines.push(`route add default via ${host.gateway}`);
  for (const { to, via } of host.routes ?? []) lines.push(`route add ${to} via ${via}`);
  return lines.join("\n");
}

/** Known values, whatever the machine's own are: a new namespace takes over some of them. */
const baseline: Record<string, string> = {
  "net.ipv4.ip_forward": "0",
  "net.ipv4.conf.all.rp_filter": "0",
  "net.ipv4.conf.default.rp_filter": "0",
  "net.ipv4.conf.all.arp_ignore": "0",
  "net.ipv4.conf.all.arp_announce": "0",
  "net.ipv6.conf.all.accept_dad": "0",
  "net.ipv6.conf.default.accept_dad": "0",
};

/** Every sysctl of a host, in the order of writing. */
export const sysctlsOf = (host: Host): Record<string, string> => ({
  ...baseline,
  ...(host.forwards ? { "net.ipv4.ip_forward": "1", "net.ipv4.conf.all.send_redirects": "0" } : {}),
  ...host.sysctls,
});
