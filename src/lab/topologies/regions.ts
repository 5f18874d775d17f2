import type { Host, Topology } from "../topology.ts";
import { client, GATEWAY, router } from "./parts.ts";
import { realServer } from "./tunnel.ts";

/** A region's network: its gateway is .1, its real server .20, and it has a client, .100. */
const regions = { europe: "203.0.113", america: "198.51.100", asia: "192.0.2" };

const clientOf = (name: string, prefix: string): Host => ({
  name,
  role: "client",
  interfaces: [{ network: name, addresses: [`${prefix}.100/24`] }],
  gateway: `${prefix}.1`,
});

/** One VIP for clients everywhere: each is served in its own region. */
export const threeRegions: Topology = {
  name: "regions",
  summary: "Director 125.12.12.12, VIP .77; a client and a real server in each of europe, america, asia.",
  networks: ["internet", "lan", ...Object.keys(regions)].map((name) => ({ name })),
  hosts: [
    client(),
    router([
      { network: "lan", address: GATEWAY },
      ...Object.entries(regions).map(([network, prefix]) => ({ network, address: `${prefix}.1` })),
    ]),
    {
      name: "director",
      role: "director",
      interfaces: [{ network: "lan", addresses: ["125.12.12.12/24"] }],
      gateway: GATEWAY,
      xdp: true,
      director: { config: "examples/regions/sluice.yaml" },
    },
    ...Object.entries(regions).map(([name, prefix]) => clientOf(name, prefix)),
    ...Object.entries(regions).map(([name, prefix], i) =>
      realServer(`real${i + 1}`, name, `${prefix}.20`, `${prefix}.1`),
    ),
  ],
  tries: ["europe", "america", "asia", "client"].map((host) => ({ host, command: "curl -s http://125.12.12.77/" })),
};
