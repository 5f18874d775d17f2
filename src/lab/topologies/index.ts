import type { Topology } from "../topology.ts";
import { direct } from "./direct.ts";
import { dns } from "./dns.ts";
import { nat } from "./nat.ts";
import { proxy } from "./proxy.ts";
import { redirect } from "./redirect.ts";
import { threeRegions } from "./regions.ts";
import { tiersDirect, tiersDns } from "./tiers.ts";
import { tunnel } from "./tunnel.ts";

/** Every topology, by name. */
export const topologies: readonly Topology[] = [
  redirect,
  dns,
  proxy,
  nat,
  direct,
  tunnel,
  tiersDirect,
  tiersDns,
  threeRegions,
];

export const findTopology = (name: string): Topology | undefined => topologies.find((t) => t.name === name);
