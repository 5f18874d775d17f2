import type { Topology } from "../topology.ts";
import { nat } from "./nat.ts";

/** The NAT plan's addresses; the director ends connections, so the backends need no gateway. */
export const proxy: Topology = {
  name: "proxy",
  summary: "A reverse proxy at 125.12.12.12 before backends 10.0.1.210 and .211 on port 8000.",
  networks: nat.networks,
  hosts: nat.hosts.map((host) => {
    if (host.role === "backend") return { ...host, gateway: undefined };
    if (host.role === "director") return { ...host, xdp: false, director: { config: "examples/proxy/sluice.yaml" } };
    return host;
  }),
  tries: [{ host: "client", command: "curl -s http://125.12.12.12/" }],
};
