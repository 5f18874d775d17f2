import { addressOctets } from "../../../core/address.ts";
import type { SignedSet } from "../../../protocols/dns/dnssec/rrsig.ts";
import { isWildcard, nameToWire } from "../../../protocols/dns/name.ts";
import { Type } from "../../../protocols/dns/numbers.ts";
import type { LikelySet } from "../likely.ts";
import type { ZoneSigning } from "./zone-signing.ts";

/** Signatures in one turn, and ms until the next one: some 100 a second take less than a hundredth of a core. */
const AT_ONCE = 4;
const PAUSE = 40;
/** Steps in one turn, and ms after which it ends in any case: to look at a set takes some microseconds, with thousands of backends more. */
const LOOKED_AT = 50;
const MOST_TIME = 1;

/** A service whose answers can be told beforehand. */
export interface Foreseen {
  names: readonly string[];
  /** In steps, for all at once may take long. */
  likely(): Iterable<LikelySet[]>;
  /** How many sets that will be at each name, about. */
  readonly likelyCount: number;
}

/**
 * Signs sets of addresses before anybody asks for them: those that are answered now and those that will be after the next
 * verdict on any backend. So when one dies, the first answer without it costs no signature. In small turns beside the
 * questions, outside the budgets of those who ask.
 */
export class SigningAhead {
  private readonly services: ReadonlyMap<string, Foreseen>;
  private readonly signingAt: (owner: Uint8Array) => ZoneSigning | null;
  private readonly waiting = new Set<string>();
  private under: { service: string; work: Iterator<() => boolean> } | null = null;
  private timer: Timer | null = null;

  /**
   * `signingAt`: of the zone that a name lies in; null: it is not here, or not signed. `most`: signatures that are made
   * ahead; services beyond, in the order of the configuration, are signed when they are asked for.
   */
  constructor(
    services: ReadonlyMap<string, Foreseen>,
    signingAt: (owner: Uint8Array) => ZoneSigning | null,
    most: number,
  ) {
    let left = most;
    const fits = ({ names, likelyCount }: Foreseen): boolean => {
      left -= names.length * likelyCount;
      return left >= 0;
    };
    this.services = new Map([...services].filter(([, service]) => fits(service)));
    this.signingAt = signingAt;
  }

  /** Other keys: everything is to be signed. */
  renewed(): void {
    for (const name of this.services.keys()) this.waiting.add(name);
    this.soon();
  }

  /** A service has another snapshot. */
  changed(service: string): void {
    if (!this.services.has(service)) return;
    // What is answered now comes first; the rest of what was foreseen before may never come.
    if (this.under?.service === service) this.under = null;
    this.waiting.add(service);
    this.soon();
  }

  stop(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.waiting.clear();
    this.under = null;
  }

  /** Signs a few; false when nothing is left to do. */
  turn(): boolean {
    const end = performance.now() + MOST_TIME;
    for (let [made, looked] = [0, 0]; made < AT_ONCE && looked < LOOKED_AT && performance.now() < end; looked++) {
      this.under ??= this.next();
      if (this.under === null) return false;
      const { value: sign, done } = this.under.work.next();
      if (done) this.under = null;
      else if (sign()) made++;
    }
    return true;
  }

  private soon(): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      if (this.turn()) this.soon();
    }, PAUSE);
    this.timer.unref();
  }

  private next(): SigningAhead["under"] {
    const [service] = this.waiting;
    if (service === undefined) return null;
    this.waiting.delete(service);
    return { service, work: this.signaturesOf(this.services.get(service)!) };
  }

  private *signaturesOf(service: Foreseen): Generator<() => boolean> {
    const owners = service.names.flatMap((name) => {
      const owner = nameToWire(name);
      // Owners of what a wildcard gives are the names that are asked for.
      const signing = owner === null || isWildcard(owner) ? null : this.signingAt(owner);
      return signing === null ? [] : [{ owner: owner!, signing }];
    });
    if (owners.length === 0) return;
    for (const sets of service.likely()) {
      yield () => false;
      for (const set of sets) for (const { owner, signing } of owners) yield () => signing.signAhead(setAt(owner, set));
    }
  }
}

function setAt(owner: Uint8Array, { v6, ttl, addresses }: LikelySet): SignedSet {
  return { owner, type: v6 ? Type.AAAA : Type.A, ttl, rdata: addresses.map(addressOctets) };
}
