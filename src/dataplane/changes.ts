import { isIPv6 } from "../core/address.ts";
import type { HostChange } from "../core/host-change.ts";
import type { HostFacts } from "../core/method.ts";
import { checkPair } from "./check-pair.ts";
import type { ForwardName, PlaneService } from "./plane-service.ts";

type Facts = Pick<HostFacts, "route" | "deviceOf">;

/** The device a VIP belongs on: the one that borders it, else the one towards it; null when neither is known. */
const vipDevice = (address: string, host: Facts): string | null =>
  host.deviceOf(address) ?? host.route(address)?.device ?? null;

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
const vipsOf = (services: readonly PlaneService[]): string[] =>
  unique(services.flatMap(({ vips }) => vips.map(({ address }) => address)));
/** The VIPs: what an active director holds and announces, and a standby one does not. Pure given the host's facts. */
export function vipChanges(services: readonly PlaneService[], host: Facts): HostChange[] {
  return vipsOf(services).flatMap((address): HostChange[] => {
    const device = vipDevice(address, host);
    return device ? [{ kind: "address", address, prefix: isIPv6(address) ? 128 : 32, device, announce: true }] : [];
  });
}

/** Interfaces whose packets the program must see: where clients arrive, where backends are, what was asked for. */
export function devicesOf(services: readonly PlaneService[], host: Facts): string[] {
  const found = new Set<string | null | undefined>(vipsOf(services).map((address) => vipDevice(address, host)));
  for (const { backends } of services) for (const { address } of backends) found.add(host.route(address)?.device);
  for (const device of services.flatMap(({ devices = [] }) => devices)) found.add(device);
  return [...found].filter((device): device is string => typeof device === "string" && device !== "lo");
}

/** What has to stand before packets come: next hops kept fresh, and for `nat` forwarding. Pure given the host's facts. */
export function groundChanges(services: readonly PlaneService[], host: Facts, forward: ForwardName): HostChange[] {
  const hops = new Map<string, HostChange>();
  const seen = new Set<ReturnType<Facts["route"]>>([null]);
  for (const { backends } of services)
    for (const { address } of backends) {
      const route = host.route(address);
      // Of very many backends most have the same way.
      if (route === null || seen.has(route)) continue;
      seen.add(route);
      if (route.device === "lo") continue;
      const hop = route.via ?? address;
      hops.set(`${hop} ${route.device}`, { kind: "neighbour", address: hop, device: route.device });
    }
  return [...(forward === "nat" && services.length > 0 ? forwarding(services, host) : []), ...hops.values()];
}

/** The backends' gateway must forward, and must not tell them of a shorter way that would pass it by. */
function forwarding(services: readonly PlaneService[], host: Facts): HostChange[] {
  const off = (device: string): HostChange => ({
    kind: "sysctl",
    key: `net/ipv4/conf/${device}/send_redirects`,
    value: "0",
  });
  const all = vipsOf(services);
  const redirects = [off("all"), ...devicesOf(services, host).map(off)];
  return [
    ...(all.some((vip) => !isIPv6(vip))
      ? [{ kind: "sysctl", key: "net.ipv4.ip_forward", value: "1" } as const, ...redirects]
      : []),
    ...(all.some(isIPv6) ? [{ kind: "sysctl", key: "net.ipv6.conf.all.forwarding", value: "1" } as const] : []),
  ];
}

/** All that the plane changes on a host for these services of one method; `pins`: where its programs are pinned. */
export function planeChanges(services: readonly PlaneService[], host: HostFacts, forward: ForwardName): HostChange[] {
  if (services.length === 0) return [];
  const path = `/sys/fs/bpf/sluice/${host.instance}`;
  const xdp = devicesOf(services, host).map(
    (device): HostChange => ({ kind: "xdp", device, pin: `${path}/links/${device.replaceAll(".", ":")}` }),
  );
  const { outer: name, inner: peer } = checkPair(path);
  const probed = forward !== "nat" && services.some(({ checked }) => checked);
  return [
    { kind: "bpf-pins", path },
    ...xdp,
    ...(probed ? [{ kind: "veth", name, peer } as const] : []),
    ...groundChanges(services, host, forward),
    ...vipChanges(services, host),
  ];
}
