import type { MethodName } from "../../core/service.ts";
import type { Host, ProgramRun } from "../topology.ts";

/** What the topologies have in common. Addresses are the article's where it gives some. */

export const CLIENT = "202.20.20.20";
export const GATEWAY = "125.12.12.1";

/** The HTTP server of the labs, with a UDP echo and a TCP echo beside it. `addresses`: of the UDP echo. */
export const servers = (port: number, addresses = "0.0.0.0"): ProgramRun[] => [
  { program: "http-backend", args: ["--port", String(port)] },
  { program: "udp-echo", args: ["--port", "7", "--address", addresses] },
  { program: "tcp-echo", args: ["--port", "7"] },
];

/** What makes a host one of the real servers of `vip`. Its servers may start before it holds the VIP. */
export const realServerOf = (method: MethodName, vip: string, address: string) => ({
  programs: servers(80, `${address},${vip}`),
  realServer: { method, vips: [vip] },
  sysctls: { "net.ipv4.ip_nonlocal_bind": "1" },
});

/** The article's client, on a network of its own behind the router. */
export const client = (): Host => ({
  name: "client",
  role: "client",
  interfaces: [{ network: "internet", addresses: [`${CLIENT}/24`] }],
  gateway: "202.20.20.1",
});

/** The router between the client's network and the others. */
export const router = (
  networks: readonly { network: string; address: string }[],
  routes: Host["routes"] = [],
): Host => ({
  name: "router",
  role: "router",
  interfaces: [
    { network: "internet", addresses: ["202.20.20.1/24"] },
    ...networks.map(({ network, address }) => ({ network, addresses: [`${address}/24`] })),
  ],
  forwards: true,
  routes,
});
