import { isIPv6 } from "../core/address.ts";
import type { TooBig } from "../system/too-big.ts";

/** A router's word holds for ten minutes; then the way is tried anew (RFC 1191, 6.3; RFC 8201, 4). */
const LIFE = 10 * 60_000;
/** Addresses that one is kept of; beyond, a further one is not heard until another has gone. */
const MOST = 1024;
/** What every path carries: of IPv6 by RFC 8200, 5; of IPv4 what every host takes (RFC 791), which no path of today falls short of. */
const LEAST = { ipv4: 576, ipv6: 1280 };
/** Commonest MTUs (RFC 1191, 7.1), for routers that do not say theirs. */
const PLATEAUS = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006];

const leastMtu = (address: string): number => LEAST[isIPv6(address) ? "ipv6" : "ipv4"];

/** What a router says would fit; null: what it quotes would have fitted, so that it cannot be true. */
export function toldMtu({ mtu, length, target }: TooBig): number | null {
  const told = mtu === 0 ? (PLATEAUS.find((one) => one < length) ?? 0) : mtu;
  return told >= length ? null : Math.max(told, leastMtu(target));
}

/** What routers on the way to backends have said of the largest packet that fits. */
export class PathMtus {
  readonly #told = new Map<string, { mtu: number; until: number }>();

  /** Undefined: nobody has said anything; the link's own counts. */
  of(address: string): number | undefined {
    return this.#told.get(address)?.mtu;
  }

  get addresses(): string[] {
    return [...this.#told.keys()];
  }

  /**
   * Takes a word about a packet of ours to `address`. True when less fits than was known. A larger value than one that is
   * known is never taken (RFC 8201, 4): packets of that size are not sent, so it is nobody's answer to them.
   */
  learn(address: string, mtu: number, now: number): boolean {
    const known = this.#told.get(address);
    if (known ? mtu > known.mtu : this.#told.size >= MOST) return false;
    this.#told.set(address, { mtu, until: now + LIFE });
    return mtu !== known?.mtu;
  }

  /** Forgets what is too old, and what nobody sends to: the addresses. */
  forget(now: number, inUse: (address: string) => boolean): string[] {
    const gone = [...this.#told].filter(([address, { until }]) => until <= now || !inUse(address));
    for (const [address] of gone) this.#told.delete(address);
    return gone.map(([address]) => address);
  }
}
