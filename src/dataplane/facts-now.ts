import type { HostChange } from "../core/host-change.ts";
import type { HostFacts } from "../core/method.ts";
import { SluiceError } from "../core/problem.ts";
import { deviceFinder } from "../system/host-facts.ts";
import type { IpAddress } from "../system/ip.ts";
import { addresses } from "../system/ip.ts";
import { ifindexOf } from "../system/net.ts";
import { type Route, routesTo } from "./routes.ts";

/** The host's addresses. Throws SluiceError. */
export async function hostAddresses(): Promise<readonly IpAddress[]> {
  const all = await addresses();
  if (!all.ok) throw new SluiceError(all.problems[0]!);
  return all.value;
}

/** Addresses that these changes have put on devices which are there, and that the host has no more. Throws SluiceError. */
export async function missingAddresses(changes: readonly HostChange[]): Promise<string[]> {
  const here = new Set((await hostAddresses()).map(({ address }) => address));
  return changes.flatMap((change) =>
    change.kind === "address" && !here.has(change.address) && ifindexOf(change.device) > 0 ? [change.address] : [],
  );
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
  // One object for all that have one gateway.
  const told = new Map<Route, Told>();
  return {
    instance,
    route(address) {
      const route = routes.get(address) ?? known.get(address);
      if (!route) return null;
      let fact = told.get(route);
      if (fact === undefined) {
        fact = { device: route.device, source: route.source, via: route.hop === address ? null : route.hop };
        told.set(route, fact);
      }
      return fact;
    },
    deviceOf: deviceFinder(held),
  };
}

type Told = NonNullable<ReturnType<HostFacts["route"]>>;
