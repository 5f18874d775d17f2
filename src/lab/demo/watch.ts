import type { Lab } from "../lab.ts";
import { hostMac, type Topology } from "../topology.ts";
import { type Hop, toHops } from "./journey.ts";

/** Captures on every cable of a lab. */
export interface Watch {
  /** What was seen so far: each frame once, by time. */
  hops(): Hop[];
  /** Ends it; gives all. */
  stop(): Promise<Hop[]>;
}

/** Which host each MAC of a topology belongs to. */
export const macOwners = (topology: Topology): Map<string, string> =>
  new Map(
    topology.hosts.flatMap(({ name, interfaces }) => interfaces.map((_, i) => [hostMac(topology, name, i), name])),
  );

/** Starts a capture of IPv4 at the switch's end of every cable. */
export async function watchLab(lab: Lab): Promise<Watch> {
  const { hosts } = lab.topology;
  const owners = macOwners(lab.topology);
  const cables = hosts.flatMap(({ name, interfaces }) =>
    interfaces.map(({ network }, i) => ({ host: name, network, device: `eth${i}` })),
  );
  const watched = await Promise.all(
    cables.map(async (cable) => ({ ...cable, capture: await lab.capture(cable.host, "ip", { device: cable.device }) })),
  );
  return {
    hops: () =>
      toHops(
        watched.flatMap(({ host, network, capture }) => capture.packets().map((packet) => ({ host, network, packet }))),
        owners,
      ),
    async stop() {
      const seen = await Promise.all(
        watched.map(async ({ host, network, capture }) =>
          (await capture.stop()).map((packet) => ({ host, network, packet })),
        ),
      );
      return toHops(seen.flat(), owners);
    },
  };
}
