import { isIPv6 } from "../../core/address.ts";
import type { HostChange } from "../../core/host-change.ts";
import type { HostFacts } from "../../core/method.ts";
import { groundChanges, planeChanges, vipChanges } from "../../dataplane/changes.ts";
import type { NatService } from "./compile.ts";

/** The instance's nftables table, family inet. */
export const tableName = (instance: string): string => `sluice-${instance}`;

/** What has to stand before packets come to the nftables engine: its table's entry in the journal, and forwarding. */
export function nftablesGround(services: readonly NatService[], host: HostFacts): HostChange[] {
  if (services.length === 0) return [];
  const v6 = services.some(({ vips }) => vips.some(({ address }) => isIPv6(address)));
  return [
    { kind: "nft-table", family: "inet", name: tableName(host.instance) },
    ...(v6 ? [{ kind: "sysctl", key: "net.ipv6.conf.all.forwarding", value: "1" } as const] : []),
    // The kernel's own path looks its neighbours up by itself.
    ...groundChanges(services, host, "nat").filter(({ kind }) => kind !== "neighbour"),
  ];
}

/** All that nat changes on a host. `auto` is shown as xdp, which it tries first. Pure given the host's facts. */
export function changes(services: readonly NatService[], host: HostFacts): HostChange[] {
  const onNftables = services.filter(({ engine }) => engine === "nftables");
  const onXdp = services.filter(({ engine }) => engine !== "nftables");
  const all = [
    ...planeChanges(onXdp, host, "nat"),
    ...nftablesGround(onNftables, host),
    ...vipChanges(onNftables, host),
  ];
  return [...new Map(all.map((change) => [JSON.stringify(change), change])).values()];
}
