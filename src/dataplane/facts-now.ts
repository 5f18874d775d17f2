import type { HostFacts } from "../core/method.ts";
import { SluiceError } from "../core/problem.ts";
import { deviceFinder } from "../system/host-facts.ts";
import type { IpAddress } from "../system/ip.ts";
import { addresses } from "../system/ip.ts";
import { type Route, routesTo } from "./routes.ts";

/** The host's addresses. Throws SluiceError. */
export async function hostAddresses(): Promise<readonly IpAddress[]> {
  const all = await addresses();
  if (!all.ok) throw new SluiceError(all.problems[0]!);
  return all.value;
}

/**
 * What the kernel says at this moment of the addresses that are asked for, by one process for all: a revision may have a
 * hundred thousand backends. `known`: ways of others, and of those that are missing now. Throws SluiceError.
 */
export async function factsNow(
  instance: string,
  asked: readonly string[],
  known: ReadonlyMap<string, Route> = new Map(),
): Promise<HostFacts> {
  const held = await hostAddresses();
  const routes = await routesTo(asked);
  return {
    instance,
    route: (address) => {
      const route = routes.get(address) ?? known.get(address);
      return route
        ? { device: route.device, source: route.source, via: route.hop === address ? null : route.hop }
        : null;
    },
    deviceOf: deviceFinder(held),
  };
}
