import type { Host, Topology } from "../topology.ts";
import { client, GATEWAY, router, servers } from "./parts.ts";

const VIP = "125.12.12.77";

/** A Sluice proxy with a foot in both networks. Proxies one and two run from the start, the third is a spare. */
const proxy = (number: number, config: string, realServer: Host["realServer"]): Host => ({
  name: `proxy${number}`,
  role: "proxy",
  interfaces: [
    { network: "lan", addresses: [`125.12.12.${30 + number}/24`] },
    { network: "inside", addresses: [`10.0.1.${30 + number}/24`] },
  ],
  gateway: GATEWAY,
  director: { config, spare: number === 3 },
  realServer,
});

const backend = (name: string, address: string): Host => ({
  name,
  role: "backend",
  interfaces: [{ network: "inside", addresses: [`${address}/24`] }],
  programs: servers(8000),
});

const tiers = (name: string, summary: string, director: Host, realServer: Host["realServer"]): Topology => ({
  name,
  summary,
  networks: [{ name: "internet" }, { name: "lan" }, { name: "inside" }],
  hosts: [
    client(),
    router([{ network: "lan", address: GATEWAY }]),
    director,
    ...[1, 2, 3].map((number) => proxy(number, `examples/${name}/proxy.yaml`, realServer)),
    backend("backend1", "10.0.1.210"),
    backend("backend2", "10.0.1.211"),
  ],
  tries: [],
});

/** The article's cure for the proxy's bottleneck: more proxies, spread at the link layer. */
export const tiersDirect: Topology = {
  ...tiers(
    "tiers-direct",
    "direct (VIP 125.12.12.77) over two Sluice proxies, .31 and .32, over backends; .33 is a spare proxy.",
    {
      name: "director",
      role: "director",
      interfaces: [{ network: "lan", addresses: ["125.12.12.12/24"] }],
      gateway: GATEWAY,
      xdp: true,
      director: { config: "examples/tiers-direct/director.yaml" },
    },
    { method: "direct", vips: [VIP] },
  ),
  tries: [{ host: "client", command: `curl -s http://${VIP}/headers` }],
};

/** The same with a name server as the first tier. */
export const tiersDns: Topology = {
  ...tiers(
    "tiers-dns",
    "dns (125.12.12.53) over two Sluice proxies, .31 and .32, over backends; .33 is a spare proxy.",
    {
      name: "director",
      role: "director",
      interfaces: [{ network: "lan", addresses: ["125.12.12.53/24"] }],
      gateway: GATEWAY,
      director: { config: "examples/tiers-dns/director.yaml" },
    },
    undefined,
  ),
  peers: ["dig"],
  tries: [{ host: "client", command: "dig +short @125.12.12.53 www.example.com" }],
};
