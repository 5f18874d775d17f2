import type { Backend } from "../core/backend.ts";
import type { RevisionFacts } from "../core/method.ts";
import type { GuardLists, Listener, Service } from "../core/service.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { Forward } from "./generated/layout.ts";
import type { Limits } from "./guard/schema.ts";
import type { PlaneOptions } from "./plane-options.ts";

/** How packets reach the backends: which of the methods' forward functions runs. */
export type ForwardName = "direct" | "tunnel" | "nat";

export const forwardNumber: Record<ForwardName, number> = {
  direct: Forward.FORWARD_DIRECT,
  tunnel: Forward.FORWARD_TUNNEL,
  nat: Forward.FORWARD_NAT,
};

/** The inverse. */
export const forwardName = (number: number): ForwardName =>
  (Object.keys(forwardNumber) as ForwardName[]).find((name) => forwardNumber[name] === number) ?? "direct";

/** One service as the data plane takes it: what `compile` of the kernel methods makes. Plain JSON. */
export interface PlaneService {
  name: string;
  /** Secret of the revision; equal on directors that must choose alike. */
  seed: number;
  vips: readonly Listener[];
  backends: readonly Backend[];
  /** Ids of those that may get new work, ascending. */
  eligible: readonly number[];
  scheduler: { name: string; options: unknown };
  /** Idle time-outs of flows, ms. */
  idle?: { tcp: number; udp: number };
  /** UDP of one packet each way: no flow is remembered. */
  oneShot?: boolean;
  /** Slots of the table; never changes while the service lives. */
  slots?: number;
  /** Further interfaces on which clients arrive, besides those of VIPs and backends. */
  devices?: readonly string[];
  /** UDP port of GUE that tunnels go to; absent: bare IP in IP. */
  guePort?: number;
  /** How much sources may send to it. */
  limits?: Limits;
  /** Who may send to all services: the same in each. */
  lists?: GuardLists;
  /** Its backends are probed. */
  checked?: boolean;
}

export const defaultIdle = { tcp: 15 * 60_000, udp: 60_000 };
export const defaultSlots = 16_381;

/** `compile` of a kernel method. Pure. */
export function compilePlane(
  service: Service<PlaneOptions>,
  snapshot: Snapshot,
  revision: Pick<RevisionFacts, "number" | "seed" | "guard">,
): PlaneService {
  return {
    name: service.name,
    seed: revision.seed,
    vips: service.listen,
    backends: snapshot.backends,
    eligible: snapshot.eligible,
    scheduler: service.scheduler,
    idle: service.options.idle,
    oneShot: service.options.oneShot,
    devices: service.options.devices,
    checked: service.check !== null,
    ...(service.options.limits === undefined ? {} : { limits: service.options.limits }),
    ...(revision.guard === undefined ? {} : { lists: revision.guard }),
  };
}

/** A backend's port: its own, or that of the listener; 0 where listeners have several, and each packet keeps its own. */
export function portOf({ vips }: Pick<PlaneService, "vips">, { port }: Pick<Backend, "port">): number {
  if (port !== null) return port;
  const [first] = vips;
  return first && vips.every((vip) => vip.last === undefined && vip.port === first.port) ? first.port : 0;
}
