import type { Host, Topology } from "../topology.ts";
import { client, GATEWAY, realServerOf, router } from "./parts.ts";

/** A host that unwraps packets for the VIP 125.12.12.77, in a network of its own. */
export const realServer = (name: string, network: string, address: string, gateway: string): Host => ({
  name,
  role: "backend",
  interfaces: [{ network, addresses: [`${address}/24`] }],
  gateway,
  ...realServerOf("tunnel", "125.12.12.77", address),
});

/** Real servers in two other networks: only the router joins them to the director. */
export const tunnel: Topology = {
  name: "tunnel",
  summary: "Director 125.12.12.12, VIP .77; real servers 198.51.100.20 and 203.0.113.21 behind a router.",
  networks: [{ name: "internet" }, { name: "lan" }, { name: "site1" }, { name: "site2" }],
  hosts: [
    client(),
    router([
      { network: "lan", address: GATEWAY },
      { network: "site1", address: "198.51.100.1" },
      { network: "site2", address: "203.0.113.1" },
    ]),
    {
      name: "director",
      role: "director",
      interfaces: [{ network: "lan", addresses: ["125.12.12.12/24"] }],
      gateway: GATEWAY,
      xdp: true,
      director: { config: "examples/tunnel/sluice.yaml" },
    },
    realServer("real1", "site1", "198.51.100.20", "198.51.100.1"),
    realServer("real2", "site2", "203.0.113.21", "203.0.113.1"),
  ],
  tries: [{ host: "client", command: "curl -s http://125.12.12.77/" }],
};
