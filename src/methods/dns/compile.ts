import type { Backend } from "../../core/backend.ts";
import type { Service } from "../../core/service.ts";
import { eligibleIds, type Outlook, type Snapshot } from "../../core/snapshot.ts";
import { type DnsOptions, MOST_ADDRESSES } from "./options.ts";

/** An address that may be answered, and the backend behind it; -1: there is none. */
export interface Target {
  id: number;
  address: string;
}

/** What a service answers now. Plain JSON. */
export interface CompiledDns {
  service: string;
  names: string[];
  ttl: number;
  /** Most addresses in one answer. */
  most: number;
  /**
   * `steered`: in the scheduler's order. Else nobody is eligible: `rotated`, all that only checks keep out stand in turn;
   * `fallback`, other addresses do; or no address at all.
   */
  rule: "steered" | "rotated" | "fallback" | "nodata" | "servfail";
  v4: Target[];
  v6: Target[];
}

/**
 * Who is answered when nobody is eligible: those whom only a failed check keeps out, by the same rules (tier, weight) as
 * if they were up. What an operator has put in drain or maintenance stays out.
 */
function asIfUp(backends: readonly Backend[]): number[] {
  return eligibleIds(
    backends.map((b) => (b.state === "down" ? { ...b, state: "up", weight: Math.max(1, b.weight) } : b)),
  );
}

/** The addresses that would be answered if every check had passed, each once. */
export function addressesIfUp({ backends }: Snapshot): { v4: string[]; v6: string[] } {
  const ids = new Set(asIfUp(backends));
  const addresses = [...new Set(backends.filter(({ id }) => ids.has(id)).map(({ address }) => address))];
  return { v4: addresses.filter((a) => !a.includes(":")), v6: addresses.filter((a) => a.includes(":")) };
}

/**
 * Seconds for which an answer may be kept. Adaptive (gdnsd's idea): while all is steady, no check can change the answer
 * sooner than `soonest`, and no word of an operator ends sooner than `word`, so keeping it that long costs nobody
 * anything; once a backend wavers, as short as allowed.
 */
function ttlOf({ ttl }: DnsOptions, { outlook }: Snapshot): number {
  if (typeof ttl === "number") return ttl;
  if (outlook === undefined) return ttl.max;
  if (!outlook.steady) return ttl.min;
  return Math.min(ttl.max, Math.max(ttl.min, Math.floor(nextChange(outlook) / 1000)));
}

/** ms in which nothing changes, as far as that is known; Infinity: ever. */
export const nextChange = ({ soonest, word }: Outlook): number =>
  Math.min(soonest ?? Number.POSITIVE_INFINITY, word ?? Number.POSITIVE_INFINITY);

/** Who is answered, and by which rule. */
function targetsOf(
  { options: { empty } }: Service<DnsOptions>,
  snapshot: Snapshot,
): Pick<CompiledDns, "rule"> & { targets: Target[] } {
  const { backends, eligible } = snapshot;
  if (eligible.length === 0 && typeof empty === "object")
    return { rule: "fallback", targets: empty.fallback.map((address) => ({ id: -1, address })) };
  const byId = new Map(backends.map((b) => [b.id, b.address]));
  const all = eligible.length > 0 ? eligible : empty === "all" ? asIfUp(backends) : [];
  const targets = all.flatMap((id) => (byId.has(id) ? [{ id, address: byId.get(id)! }] : []));
  if (eligible.length > 0) return { rule: "steered", targets };
  return { rule: targets.length > 0 ? "rotated" : empty === "nodata" ? "nodata" : "servfail", targets };
}

/** Pure: the same service and snapshot give the same result. */
export function compile(service: Service<DnsOptions>, snapshot: Snapshot): CompiledDns {
  const { rule, targets } = targetsOf(service, snapshot);
  return {
    service: service.name,
    names: service.names,
    ttl: ttlOf(service.options, snapshot),
    most: service.options.answers ?? MOST_ADDRESSES,
    rule,
    v4: targets.filter((t) => !t.address.includes(":")),
    v6: targets.filter((t) => t.address.includes(":")),
  };
}
