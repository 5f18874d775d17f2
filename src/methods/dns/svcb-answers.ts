import { hintsOf, isSvcb, type Svcb, toSvcb, withHints } from "../../protocols/dns/svcb.ts";
import type { Rdata } from "../../protocols/dns/template.ts";
import type { Rrset } from "./static-zone.ts";

/** What a target of SVCB or HTTPS is answered with. */
export interface TargetAddresses {
  name: Uint8Array;
  /** Octets, best first. */
  v4: Uint8Array[];
  v6: Uint8Array[];
  /** How long they may be kept, seconds. */
  ttl: number;
  /** Are they a service's? */
  steered: boolean;
}

/** Most addresses in a hint: the target's own sets hold them all. */
const MOST_HINTS = 8;

/** The name whose addresses a record is about; null: an alias to nothing (RFC 9460 2.5). */
const targetName = ({ priority, target }: Svcb, owner: Uint8Array): Uint8Array | null =>
  target.length > 1 ? target : priority === 0 ? null : owner;

/**
 * A set of SVCB or HTTPS with hints that follow the steering (RFC 9460 7.3): those of a record about a service's name
 * become what the service answers now, whatever was written; `auto` becomes what the zones have. A hint without an
 * address is left out. `addressesOf` is asked once for each target; `sorted`: hints in one order, so that a set has one
 * signature. The targets that have addresses come with it.
 */
export function followTargets(
  set: Rrset,
  addressesOf: (name: Uint8Array) => TargetAddresses | null,
  sorted = false,
): { set: Rrset; targets: TargetAddresses[] } {
  if (!isSvcb(set.type)) return { set, targets: [] };
  const known = new Map<string, TargetAddresses | null>();
  const found = (name: Uint8Array): TargetAddresses | null => {
    const key = String.fromCharCode(...name);
    if (!known.has(key)) known.set(key, addressesOf(name));
    return known.get(key)!;
  };
  let { ttl } = set;
  const rdata = set.rdata.map((record): Rdata => {
    const svcb = toSvcb(record);
    const name = svcb && targetName(svcb, set.owner);
    const target = name && found(name);
    const { any, auto } = svcb ? hintsOf(svcb) : { any: false, auto: false };
    if (!any || !(auto || target?.steered)) return record;
    if (target) ttl = Math.min(ttl, target.ttl);
    const some = (all: Uint8Array[] = []): Uint8Array[] => {
      const first = all.slice(0, MOST_HINTS);
      return sorted ? first.sort(Buffer.compare) : first;
    };
    return withHints(record, some(target?.v4), some(target?.v6));
  });
  return { set: { ...set, ttl, rdata }, targets: [...known.values()].filter((target) => target !== null) };
}
