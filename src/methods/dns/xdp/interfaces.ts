import type { HostFacts } from "../../../core/method.ts";
import { type Device, devices } from "../../../dataplane/routes.ts";

/** An interface where queries arrive. */
export interface Arrival {
  /** The interface that carries the frames: of a VLAN device the one below. */
  carrier: string;
  index: number;
  mac: Uint8Array;
  /** In whose frames the address is; 0: untagged. */
  vlan: number;
  veth: boolean;
}

/** Those of the addresses that the kernel takes packets to, as the host is now: one that has left may be another host's. */
export const heldOf = <T extends { address: string }>(endpoints: readonly T[], facts: HostFacts): T[] =>
  endpoints.filter(({ address }) => facts.route(address)?.device === "lo");

/** Somewhere else: the way to it leads out of the host (RFC 5737, 3849). */
const ELSEWHERE = { ipv4: "192.0.2.1", ipv6: "2001:db8::1" };

/**
 * Pure but for `facts`. An address that only loopback holds (an anycast address) is reached by the default route. Of several
 * VLANs on one interface the first one's frames are answered; the others' are the workers'.
 */
export function arrivalsFor(
  addresses: readonly string[],
  facts: HostFacts,
  links: ReadonlyMap<string, Device>,
): Arrival[] {
  const found = new Map<string, Arrival>();
  for (const address of addresses) {
    if (address.startsWith("127.") || address === "::1") continue;
    const held = facts.deviceOf(address);
    const out = (): string | undefined => facts.route(address.includes(":") ? ELSEWHERE.ipv6 : ELSEWHERE.ipv4)?.device;
    const link = links.get(held ?? "") ?? links.get(out() ?? "");
    if (link === undefined) continue;
    const name = [...links].find(([, other]) => other === link)![0];
    const carrier = link.parent ?? name;
    const below = links.get(carrier);
    if (below === undefined || found.has(carrier)) continue;
    found.set(carrier, { carrier, index: below.index, mac: link.mac, vlan: link.vlan, veth: below.kind === "veth" });
  }
  return [...found.values()];
}

/** The interfaces where queries to these addresses arrive, as the host is now. */
export const arrivalsOf = async (addresses: readonly string[], facts: HostFacts): Promise<Arrival[]> =>
  arrivalsFor(addresses, facts, await devices());
