import { Type } from "./numbers.ts";
import type { Rdata } from "./template.ts";

/** Keys of the parameters that hold addresses (RFC 9460 7.3). */
const HINTS = [4, 6] as const;

/** SVCB or HTTPS RDATA in its parts; null for one that was written as opaque octets. */
export interface Svcb {
  priority: number;
  /** Lower case; the root stands for the record's own name (RFC 9460 2.5). */
  target: Uint8Array;
  params: Uint8Array;
}

export const isSvcb = (type: number): boolean => type === Type.SVCB || type === Type.HTTPS;

export function toSvcb(rdata: Rdata): Svcb | null {
  const [priority, target, params] = rdata as Uint8Array[];
  if (rdata.length !== 3 || priority!.length !== 2) return null;
  return { priority: (priority![0]! << 8) | priority![1]!, target: target!, params: params! };
}

/** Key and value of each parameter of a record that was checked when it was read. */
function* entries(params: Uint8Array): Generator<[key: number, value: Uint8Array]> {
  for (let at = 0; at + 4 <= params.length; ) {
    const size = (params[at + 2]! << 8) | params[at + 3]!;
    yield [(params[at]! << 8) | params[at + 1]!, params.subarray(at + 4, at + 4 + size)];
    at += 4 + size;
  }
}

/** Has it hints? An empty one is `auto`: the target's addresses, whatever they are. */
export function hintsOf({ params }: Svcb): { any: boolean; auto: boolean } {
  const hints = [...entries(params)].filter(([key]) => key === HINTS[0] || key === HINTS[1]);
  return { any: hints.length > 0, auto: hints.some(([, value]) => value.length === 0) };
}

/** The record with these addresses (octets) in the hints that it has; a hint without an address is left out. */
export function withHints(rdata: Rdata, v4: readonly Uint8Array[], v6: readonly Uint8Array[]): Rdata {
  const parts: number[] = [];
  for (const [key, value] of entries(rdata[2] as Uint8Array)) {
    const hints = key === HINTS[0] ? v4 : key === HINTS[1] ? v6 : null;
    if (hints?.length === 0) continue;
    const octets = hints === null ? [...value] : hints.flatMap((address) => [...address]);
    parts.push(key >> 8, key & 255, octets.length >> 8, octets.length & 255, ...octets);
  }
  return [rdata[0]!, rdata[1]!, Uint8Array.from(parts)];
}
