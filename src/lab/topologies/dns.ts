import type { Host, Topology } from "../topology.ts";
import { client, GATEWAY, router, servers } from "./parts.ts";

/** In the order of the article's answer. */
export const ADDRESSES = [
  "173.194.127.210",
  "173.194.127.211",
  "173.194.127.208",
  "173.194.127.209",
  "173.194.127.212",
];

const backend = (address: string, index: number): Host => ({
  name: `backend${index + 1}`,
  role: "backend",
  interfaces: [{ network: "site", addresses: [`${address}/24`] }],
  gateway: "173.194.127.1",
  programs: servers(80),
});

/** A name server and the five addresses of the article's dig. */
export const dns: Topology = {
  name: "dns",
  summary: "Name server 125.12.12.53; www.example.com is the article's five addresses 173.194.127.208 to .212.",
  networks: [{ name: "internet" }, { name: "lan" }, { name: "site" }],
  hosts: [
    client(),
    router([
      { network: "lan", address: GATEWAY },
      { network: "site", address: "173.194.127.1" },
    ]),
    {
      name: "director",
      role: "director",
      interfaces: [{ network: "lan", addresses: ["125.12.12.53/24"] }],
      gateway: GATEWAY,
      director: { config: "examples/dns/sluice.yaml" },
    },
    ...ADDRESSES.map(backend),
  ],
  peers: ["dig"],
  tries: [{ host: "client", command: "dig +noall +answer @125.12.12.53 www.example.com" }],
};
