import { ensureBuilt } from "../../../src/dataplane/build.ts";
import { xdpMissing } from "../../../src/dataplane/testing/network.ts";
import { bothWays, compareMany } from "../../../src/methods/dns/xdp/compare.ts";
import { services, settings, snapshots } from "../../../src/methods/dns/xdp/queries.ts";
import { netnsMissing } from "../../../src/system/netns-testing.ts";
import type { FuzzRun, FuzzTarget, Random } from "./target.ts";

/** Needs root: the program runs in the kernel, attached to nothing. */
async function run(inputs: number, random: Random): Promise<FuzzRun> {
  ensureBuilt();
  const ways = await bothWays(services, snapshots, settings);
  const found = compareMany(ways, inputs, (n) => Math.floor(random() * n));
  ways.close();
  return found;
}

export const dnsXdp: FuzzTarget = {
  summary: "queries in frames through the XDP program: the workers' bytes, or the frame untouched",
  run,
  missing: () => netnsMissing() ?? xdpMissing(),
};
