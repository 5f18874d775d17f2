import ipaddr from "ipaddr.js";
import type { HostFacts } from "../core/method.ts";
import { addressesSync, type IpAddress, routeGetSync } from "./ip.ts";

/**
 * Tells the device an address belongs to: the one whose network borders it (longest prefix first), else the one that
 * holds it alone; a /32 or /128 has no neighbours. Pure. Loopback counts only for its own network.
 */
export function deviceFinder(all: readonly IpAddress[]): (address: string) => string | null {
  const networks: { device: string; prefix: number; own: ipaddr.IPv4 | ipaddr.IPv6 }[] = [];
  const alone = new Map<string, string>();
  for (const { device, family, address, prefix } of all) {
    const own = ipaddr.parse(address);
    const text = own.toString();
    if (!alone.has(text)) alone.set(text, device);
    if (prefix < (family === "inet" ? 32 : 128)) networks.push({ device, prefix, own });
  }
  networks.sort((a, b) => b.prefix - a.prefix);
  return (address) => {
    const wanted = ipaddr.parse(address);
    const bordering = networks.find(
      ({ own, prefix }) => own.kind() === wanted.kind() && wanted.match(own as ipaddr.IPv4 & ipaddr.IPv6, prefix),
    );
    return bordering?.device ?? alone.get(wanted.toString()) ?? null;
  };
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
      return all.ok ? deviceFinder(all.value)(address) : null;
    },
  };
}
