import type { Host, Topology } from "../topology.ts";
import { client, GATEWAY, router, servers } from "./parts.ts";

const backend = (name: string, address: string): Host => ({
  name,
  role: "backend",
  interfaces: [{ network: "inside", addresses: [`${address}/24`] }],
  gateway: "10.0.1.50",
  programs: servers(8000),
});

/** The article's NAT plan: the director is the gateway of the backends. */
export const nat: Topology = {
  name: "nat",
  summary: "The article's NAT plan: director 125.12.12.12 / 10.0.1.50, backends 10.0.1.210 and .211 on port 8000.",
  networks: [{ name: "internet" }, { name: "outside" }, { name: "inside" }],
  hosts: [
    client(),
    router([{ network: "outside", address: GATEWAY }], [{ to: "10.0.1.0/24", via: "125.12.12.12" }]),
    {
      name: "director",
      role: "director",
      interfaces: [
        { network: "outside", addresses: ["125.12.12.12/24"] },
        { network: "inside", addresses: ["10.0.1.50/24"] },
      ],
      gateway: GATEWAY,
      xdp: true,
      director: { config: "examples/nat/sluice.yaml" },
    },
    backend("backend1", "10.0.1.210"),
    backend("backend2", "10.0.1.211"),
  ],
  tries: [{ host: "client", command: "curl -s --local-port 5656 http://125.12.12.12/" }],
};
