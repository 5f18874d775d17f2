import { addressOctets, parseAddress } from "../core/address.ts";
import { clearHostBits, type Prefix, parsePrefix } from "../geo/prefix.ts";

/** Networks whose word is taken. */
export class TrustList {
  private readonly networks: Prefix[];

  /** `networks`: as `parsePrefix` reads them; what is none trusts nobody. */
  constructor(networks: readonly string[]) {
    this.networks = networks.flatMap((text) => parsePrefix(text) ?? []);
  }

  /** `address`: as a socket gives it. */
  has(address: string): boolean {
    if (this.networks.length === 0) return false;
    const canonical = parseAddress(address);
    if (canonical === null) return false;
    const octets = addressOctets(canonical);
    return this.networks.some(
      ({ bytes, length }) =>
        bytes.length === octets.length && Buffer.compare(bytes, clearHostBits(octets.slice(), length)) === 0,
    );
  }
}
