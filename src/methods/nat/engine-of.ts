import { backendName } from "../../core/backend.ts";
import type { Path } from "../../core/problem.ts";
import { type Listener, listenerName, type Service } from "../../core/service.ts";
import { schedulers } from "../../schedulers/list.ts";
import type { NatOptions } from "./options.ts";

/** Something that a service asks for and only the nftables engine has. */
export interface Beyond {
  path: Path;
  /** What, as the beginning of a sentence that ends in "which the xdp engine cannot". */
  what: string;
  /** What to do, where another engine does not help either. */
  hint?: string;
}

/** All that the xdp engine cannot do of what a service asks. */
export function beyondXdp(service: Service<NatOptions>): Beyond[] {
  const { options, listen } = service;
  const found: Beyond[] = [];
  if (options.helper !== undefined)
    found.push({
      path: ["nat", "helper"],
      what: `The helper "${options.helper}" rewrites addresses inside the connection's own words`,
    });
  if (options.masquerade)
    found.push({ path: ["nat", "masquerade"], what: "masquerade keeps a port of the director for every flow" });
  if (options.hairpin)
    found.push({ path: ["nat", "hairpin"], what: "hairpin keeps a port of the director for every flow of a backend" });
  listen.forEach((listener, i) => {
    if (listener.last !== undefined && service.backends.some(({ port }) => port !== null))
      found.push({
        path: ["listen", i],
        what: `${listenerName(listener)} leads to one port of a backend, whose answers have to be told apart by flow`,
        hint: "Leave the port of the backends out: each packet then keeps its own. Or use nat: { engine: nftables }.",
      });
    const clash = listen.slice(0, i).find((other) => ambiguous(service, other, listener));
    if (clash)
      found.push({
        path: ["listen", i],
        what: `${listenerName(clash)} and ${listenerName(listener)} lead to the same backends, whose answers have to be told apart by flow`,
      });
  });
  return found;
}

/**
 * The xdp engine keeps no flows: on the way back it knows the VIP by the backend's address and port alone. A backend
 * without a port of its own answers from the port that the client asked for.
 */
function ambiguous(service: Service<NatOptions>, one: Listener, other: Listener): boolean {
  if (one.protocol !== other.protocol) return false;
  const common = one.port <= (other.last ?? other.port) && other.port <= (one.last ?? one.port);
  return service.backends.some(({ port }) => port !== null || (common && one.address !== other.address));
}

/** All that the nftables engine cannot do of what a service asks. */
export function beyondNftables(service: Service<NatOptions>): { path: Path; why: string; hint: string }[] {
  const found = countsFlows(service.scheduler.name)
    ? [{ path: ["scheduler"], why: COUNTS_NO_FLOWS, hint: "Use the xdp engine, or a scheduler by turns or by hash." }]
    : [];
  const places = service.nearest ? [{ path: ["nearest"], why: KNOWS_NO_PLACES, hint: "Use the xdp engine." }] : [];
  const choice = (["sticky", "quic", "byLoad"] as const).flatMap((word) =>
    service.options[word]
      ? [{ path: ["nat", word], why: `The nftables engine has no ${word}.`, hint: "Use the xdp engine." }]
      : [],
  );
  return [...found, ...alike(service), ...places, ...choice];
}

/** Backends at one address of which one keeps the client's port and another has it for its own: who has such a flow? */
function alike({ listen, backends }: Service<NatOptions>): { path: Path; why: string; hint: string }[] {
  return backends.flatMap((backend, i) => {
    const keeps = backends.some(({ address, port }) => address === backend.address && port === null);
    const { port: own } = backend;
    if (own === null || !keeps || !listen.some(({ port, last = port }) => port <= own && own <= last)) return [];
    const why = `${backendName(backend)} answers like the backend that is ${backend.address} on the client's port.`;
    return [{ path: ["backends", i], why, hint: "Leave one of the two out." }];
  });
}

/** Does this scheduler go by how many flows each backend has? Only the xdp engine counts them. */
export const countsFlows = (scheduler: string): boolean =>
  schedulers.some(({ name, needs }) => name === scheduler && needs.load !== undefined);

export const COUNTS_NO_FLOWS =
  "The nftables engine does not count the flows of backends, by which this scheduler goes.";

export const KNOWS_NO_PLACES = "The nftables engine does not choose by the client's place.";

/** The engine that is meant: what only nftables can do decides `auto`. */
export const engineOf = (service: Service<NatOptions>): NatOptions["engine"] =>
  service.options.engine === "auto" && beyondXdp(service).length > 0 ? "nftables" : service.options.engine;
