import type { Backend } from "../core/backend.ts";
import type { RevisionFacts } from "../core/method.ts";
import type { Geography, GuardLists, Listener, Service } from "../core/service.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { nearest } from "../geo/nearest.ts";
import { placesOf } from "../geo/places.ts";
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
  /** Clients whose addresses agree in so many leading bits, of IPv4 and IPv6, have one slot. */
  sticky?: { source: number; source6: number };
  /** Connection IDs of QUIC name the backend. */
  quic?: true;
  /** Loads that backends report change their weights. */
  byLoad?: true;
  /** Slots of the table; never changes while the service lives. */
  slots?: number;
  /** Further interfaces on which clients arrive, besides those of VIPs and backends. */
  devices?: readonly string[];
  /** UDP port of GUE that tunnels go to; absent: bare IP in IP. */
  guePort?: number;
  /** IPv4 network that outer sources of tunnels come from; absent: the director's own address towards the backend. */
  outerSource?: string;
  /** Packets in GUE name who else may have their flow, for real servers without its socket. */
  secondChance?: true;
  /** How much sources may send to it. */
  limits?: Limits;
  /** Who may send to all services: the same in each. */
  lists?: GuardLists;
  /** Its backends are probed. */
  checked?: boolean;
  /** Clients of these places have backends of their own. */
  near?: { geography: Geography; places: readonly { name: string; eligible: readonly number[] }[] };
  /** It is the part of a service for one place: what arrives, arrives at the service. */
  part?: true;
}

/** A service with its parts for the places of clients, each a service of its own in the plane: `NAME@PLACE`. */
export function withParts(service: PlaneService): PlaneService[] {
  // Limits are judged before anybody knows the place.
  const { near, limits: _, ...rest } = service;
  const parts = (near?.places ?? []).map(
    ({ name, eligible }): PlaneService => ({ ...rest, name: partName(service.name, name), eligible, part: true }),
  );
  return [service, ...parts];
}

export const partName = (service: string, place: string): string => `${service}@${place}`;
/** The service that a name in the plane belongs to. */
export const ownerOf = (name: string): string => name.split("@")[0]!;

export const defaultIdle = { tcp: 15 * 60_000, udp: 60_000 };
const defaultSlots = 16_381;

/**
 * Who may get the work of each place; a place that neither has backends nor turns to one that has is left to the service
 * itself. It hangs on tags alone whether a place has a part, not on health: flows of a part that goes would be lost.
 */
function nearOf(
  { nearest: asked }: Pick<Service, "nearest">,
  snapshot: Snapshot,
  geography: Geography,
): Pick<PlaneService, "near"> {
  if (!asked) return {};
  const tagged = new Set(snapshot.backends.flatMap(({ tags }) => tags));
  const places = placesOf(geography)
    .filter(({ order }) => order.some((name) => tagged.has(name)))
    .map((place) => ({ name: place.name, eligible: nearest(snapshot, place).snapshot.eligible }));
  return { near: { geography, places } };
}

/** `compile` of a kernel method. Pure. */
export function compilePlane(
  service: Service<PlaneOptions>,
  snapshot: Snapshot,
  revision: RevisionFacts,
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
    ...(service.options.sticky ? { sticky: service.options.sticky } : {}),
    ...(service.options.quic ? { quic: true as const } : {}),
    ...(service.options.byLoad ? { byLoad: true as const } : {}),
    devices: service.options.devices,
    checked: service.check !== null,
    ...nearOf(service, snapshot, revision.geography),
    ...(service.options.limits === undefined ? {} : { limits: service.options.limits }),
    ...(revision.guard === undefined ? {} : { lists: revision.guard }),
  };
}

/** Slots of a new service: what the scheduler was told where it has such an option, else the default. */
export function slotsOf({ slots, scheduler }: Pick<PlaneService, "slots" | "scheduler">): number {
  const { slots: asked } = (scheduler.options ?? {}) as { slots?: unknown };
  return slots ?? (typeof asked === "number" ? asked : defaultSlots);
}

/** A backend's port: its own, or that of the listener; 0 where listeners have several, and each packet keeps its own. */
export function portOf({ vips }: Pick<PlaneService, "vips">, { port }: Pick<Backend, "port">): number {
  if (port !== null) return port;
  const [first] = vips;
  return first && vips.every((vip) => vip.last === undefined && vip.port === first.port) ? first.port : 0;
}
