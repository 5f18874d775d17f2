import type { Backend } from "../../core/backend.ts";
import type { Service } from "../../core/service.ts";
import { eligibleIds, type Snapshot } from "../../core/snapshot.ts";
import { type DnsOptions, MOST_ADDRESSES } from "./options.ts";

/** An address that may be answered, and the backend behind it. */
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
  /** `steered`: in the scheduler's order; `rotated`: nobody is eligible, all stand in turn; else no address at all. */
  rule: "steered" | "rotated" | "nodata" | "servfail";
  v4: Target[];
  v6: Target[];
}

/**
 * Who is answered when nobody is eligible: those whom only a failed check keeps out, by the same rules (tier, weight) as
 * if they were up. What an operator has put in drain or maintenance stays out.
 */
export function asIfUp(backends: readonly Backend[]): number[] {
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
 * sooner than `soonest`, so keeping it that long costs nobody anything; once a backend wavers, as short as allowed.
 */
function ttlOf({ ttl }: DnsOptions, { outlook }: Snapshot): number {
  if (typeof ttl === "number") return ttl;
  if (outlook === undefined) return ttl.max;
  return outlook.steady ? Math.min(ttl.max, Math.max(ttl.min, Math.floor(outlook.soonest / 1000))) : ttl.min;
}

/** Pure: the same service and snapshot give the same result. */
export function compile(service: Service<DnsOptions>, snapshot: Snapshot): CompiledDns {
  const { answers, empty } = service.options;
  const all = snapshot.eligible.length > 0 ? [...snapshot.eligible] : empty === "all" ? asIfUp(snapshot.backends) : [];
  const byId = new Map(snapshot.backends.map((b) => [b.id, b]));
  const targets = all.flatMap((id) => {
    const backend = byId.get(id);
    return backend ? [{ id, address: backend.address }] : [];
  });
  const rule =
    snapshot.eligible.length > 0
      ? "steered"
      : targets.length > 0
        ? "rotated"
        : empty === "nodata"
          ? "nodata"
          : "servfail";
  return {
    service: service.name,
    names: service.names,
    ttl: ttlOf(service.options, snapshot),
    most: answers ?? MOST_ADDRESSES,
    rule,
    v4: targets.filter((t) => !t.address.includes(":")),
    v6: targets.filter((t) => t.address.includes(":")),
  };
}
