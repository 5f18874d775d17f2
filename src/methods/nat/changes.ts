import { isIPv6 } from "../../core/address.ts";
import type { HostChange } from "../../core/host-change.ts";
import type { HostFacts } from "../../core/method.ts";
import type { NatService } from "./compile.ts";

/** The instance's nftables table, family inet. */
export const tableName = (instance: string): string => `sluice-${instance}`;

/** The VIPs, on the devices that border them; one that no network of ours borders is routed to us and needs none. */
export function vipChanges(services: readonly NatService[], host: HostFacts): HostChange[] {
  const addresses = new Set(services.flatMap(({ vips }) => vips.map(({ address }) => address)));
  return [...addresses].flatMap((address): HostChange[] => {
    const device = host.deviceOf(address);
    return device ? [{ kind: "address", address, prefix: isIPv6(address) ? 128 : 32, device, announce: true }] : [];
  });
}

/** Forwarding on, and no redirects: a backend that is told a shorter way would answer past the director. */
function forwardingChanges(services: readonly NatService[], host: HostFacts): HostChange[] {
  const set = (key: string, value: string): HostChange => ({ kind: "sysctl", key, value });
  const vips = services.flatMap((service) => service.vips.map(({ address }) => address));
  const backends = services.flatMap((service) => service.backends.map(({ address }) => address));
  const changes: HostChange[] = [];
  if (vips.some(isIPv6)) changes.push(set("net.ipv6.conf.all.forwarding", "1"));
  if (vips.every(isIPv6)) return changes;
  changes.push(set("net.ipv4.ip_forward", "1"), set("net.ipv4.conf.all.send_redirects", "0"));
  // The kernel sends redirects when `all` or the device says so: both have to say no.
  const devices = new Set(
    [...vips.map((a) => host.deviceOf(a)), ...backends.map((a) => host.route(a)?.device)].filter(
      (device) => device != null && device !== "lo",
    ),
  );
  for (const device of devices) changes.push(set(`net/ipv4/conf/${device}/send_redirects`, "0"));
  return changes;
}

/** All but the VIPs: what has to stand before packets come. */
export function groundChanges(services: readonly NatService[], host: HostFacts, nftables: boolean): HostChange[] {
  if (services.length === 0) return [];
  const table: HostChange[] = nftables ? [{ kind: "nft-table", family: "inet", name: tableName(host.instance) }] : [];
  return [...forwardingChanges(services, host), ...table];
}

/** What nat changes on a host, besides the data plane's own. Pure given the host's facts. */
export const changes = (services: readonly NatService[], host: HostFacts): HostChange[] => [
  ...groundChanges(
    services,
    host,
    services.some(({ engine }) => engine === "nftables"),
  ),
  ...vipChanges(services, host),
];
