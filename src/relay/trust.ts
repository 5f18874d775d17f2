import ipaddr from "ipaddr.js";
import { parseAddress } from "../core/address.ts";

/** Networks whose word is taken. */
export class TrustList {
  private readonly networks: [ipaddr.IPv4 | ipaddr.IPv6, number][];

  /** `networks`: addresses or `address/prefix`, checked with `isNetwork`. */
  constructor(networks: readonly string[]) {
    this.networks = networks.map((text) =>
      text.includes("/")
        ? ipaddr.parseCIDR(text)
        : [ipaddr.parse(text), ipaddr.parse(text).kind() === "ipv4" ? 32 : 128],
    );
  }

  /** `address`: as a socket gives it. */
  has(address: string): boolean {
    if (this.networks.length === 0) return false;
    const canonical = parseAddress(address);
    if (canonical === null) return false;
    const parsed = ipaddr.parse(canonical);
    return this.networks.some(
      ([network, prefix]) =>
        network.kind() === parsed.kind() && (parsed as ipaddr.IPv4).match(network as ipaddr.IPv4, prefix),
    );
  }
}

/** `10.0.0.0/8`, `192.0.2.1`, `2001:db8::/32`? */
export const isNetwork = (text: string): boolean =>
  text.includes("/") ? ipaddr.isValidCIDR(text) : parseAddress(text) !== null;
