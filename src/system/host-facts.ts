import ipaddr from "ipaddr.js";
import type { HostFacts } from "../core/method.ts";
import { addressesSync, type IpAddress, routeGetSync } from "./ip.ts";

/** Is `address` inside the on-link network of `held`? A /32 or /128 has no neighbours. */
function borders(held: IpAddress, address: string): boolean {
  const wanted = ipaddr.parse(address);
  const own = ipaddr.parse(held.address);
  if (wanted.kind() !== own.kind()) return false;
  return wanted.kind() === "ipv4"
    ? (wanted as ipaddr.IPv4).match(own as ipaddr.IPv4, held.prefix)
    : (wanted as ipaddr.IPv6).match(own as ipaddr.IPv6, held.prefix);
}

/**
 * The device an address belongs to: the one whose network borders it (longest prefix first), else the one that holds
 * it alone. Pure. Loopback counts only for its own network.
 */
export function deviceFor(address: string, all: readonly IpAddress[]): string | null {
  const text = ipaddr.parse(address).toString();
  const single = (a: IpAddress): boolean => a.prefix === (a.family === "inet" ? 32 : 128);
  const networks = all.filter((a) => !single(a) && borders(a, address)).sort((a, b) => b.prefix - a.prefix);
  return networks[0]?.device ?? all.find((a) => ipaddr.parse(a.address).toString() === text)?.device ?? null;
}

/** What the kernel says of this network namespace, asked anew each time: routes and addresses change under us. */
export function createHostFacts(instance: string): HostFacts {
  return {
    instance,
    route(address) {
      const found = routeGetSync(address);
      return found && { device: found.device, source: found.source, via: found.via };
    },
    deviceOf(address) {
      const all = addressesSync();
      return all.ok ? deviceFor(address, all.value) : null;
    },
  };
}
