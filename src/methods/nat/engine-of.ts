import type { Path } from "../../core/problem.ts";
import { type Listener, listenerName, type Service } from "../../core/service.ts";
import { schedulers } from "../../schedulers/list.ts";
import type { NatOptions } from "./options.ts";

/** Something that a service asks for and only the nftables engine has. */
export interface Beyond {
  path: Path;
  /** What, as the beginning of a sentence that ends in "which the xdp engine cannot". */
  what: string;
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
  listen.forEach((listener, i) => {
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
 * The xdp engine keeps no flows: on the way back it knows the VIP by the backend's address and port alone, and it
 * gives backends without a port one port for all VIPs.
 */
function ambiguous(service: Service<NatOptions>, one: Listener, other: Listener): boolean {
  const bare = service.backends.some(({ port }) => port === null);
  if (one.protocol !== other.protocol) return bare && one.port !== other.port;
  return service.backends.length > 0;
}

/** Does this scheduler go by how many flows each backend has? Only the xdp engine counts them. */
export const countsFlows = (scheduler: string): boolean =>
  schedulers.some(({ name, needs }) => name === scheduler && needs.load !== undefined);

export const COUNTS_NO_FLOWS =
  "The nftables engine does not count the flows of backends, by which this scheduler goes.";

/** The engine that is meant: what only nftables can do decides `auto`. */
export const engineOf = (service: Service<NatOptions>): NatOptions["engine"] =>
  service.options.engine === "auto" && beyondXdp(service).length > 0 ? "nftables" : service.options.engine;
