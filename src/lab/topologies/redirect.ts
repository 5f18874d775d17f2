import type { Host, Topology } from "../topology.ts";
import { client, router, servers } from "./parts.ts";

const backend = (name: string, address: string): Host => ({
  name,
  role: "backend",
  interfaces: [{ network: "site", addresses: [`${address}/24`] }],
  gateway: "192.30.252.1",
  programs: servers(80),
});

/** The article's download: the front 192.30.252.130 sends the client on to 192.30.252.147. */
export const redirect: Topology = {
  name: "redirect",
  summary: "The article's download: director 192.30.252.130 sends clients on to 192.30.252.147 or .148.",
  networks: [{ name: "internet" }, { name: "site" }],
  hosts: [
    client(),
    router([{ network: "site", address: "192.30.252.1" }]),
    {
      name: "director",
      role: "director",
      interfaces: [{ network: "site", addresses: ["192.30.252.130/24"] }],
      gateway: "192.30.252.1",
      director: { config: "examples/redirect/sluice.yaml" },
    },
    backend("backend1", "192.30.252.147"),
    backend("backend2", "192.30.252.148"),
  ],
  tries: [
    {
      host: "client",
      command: "curl -sL http://192.30.252.130/bytes/1000 -o /dev/null -w '%{num_redirects} %{url_effective}\\n'",
    },
    { host: "client", command: "wget -O - http://192.30.252.130/" },
  ],
};
