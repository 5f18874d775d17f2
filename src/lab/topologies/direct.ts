import type { Host, Topology } from "../topology.ts";
import { client, GATEWAY, realServerOf, router } from "./parts.ts";

const VIP = "125.12.12.77";

const onLan = (address: string) => [{ network: "lan", addresses: [`${address}/24`] }];

const director = (name: string, address: string, standby: boolean): Host => ({
  name,
  role: "director",
  interfaces: onLan(address),
  gateway: GATEWAY,
  xdp: true,
  director: { config: "examples/direct/sluice.yaml", standby },
});

const realServer = (name: string, address: string): Host => ({
  name,
  role: "backend",
  interfaces: onLan(address),
  gateway: GATEWAY,
  ...realServerOf("direct", VIP, address),
});

/** The article's table for direct routing, with a standby director. */
export const direct: Topology = {
  name: "direct",
  summary: "The article's direct routing: gateway 125.12.12.1, director .12, VIP .77, real servers .20 and .21.",
  networks: [{ name: "internet" }, { name: "lan" }],
  hosts: [
    client(),
    router([{ network: "lan", address: GATEWAY }]),
    director("director", "125.12.12.12", false),
    director("standby", "125.12.12.13", true),
    realServer("real1", "125.12.12.20"),
    realServer("real2", "125.12.12.21"),
  ],
  tries: [{ host: "client", command: "curl -s http://125.12.12.77/" }],
};
