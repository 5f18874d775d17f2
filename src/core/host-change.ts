/**
 * A change to the host that the product asks for, as data: shown by `check --changes`, applied through one journal,
 * undone by `down`, also without a daemon. A change that was already there is not ours and is not undone.
 */
export type HostChange =
  /** An address on a device; `announce` sends gratuitous ARP / unsolicited neighbour advertisements once it stands. */
  | { kind: "address"; address: string; prefix: number; device: string; announce?: boolean }
  | { kind: "sysctl"; key: string; value: string /** `max`: only raise. */; rule?: "set" | "max" }
  | { kind: "nft-table"; family: "inet" | "ip" | "ip6" | "netdev"; name: string }
  | { kind: "bpf-pins"; path: string }
  | { kind: "xdp"; device: string; pin: string }
  | { kind: "veth"; name: string; peer: string }
  /** `via`: a gateway; of the other family `inet6 ADDRESS`, as ip(8) has it. */
  | { kind: "route"; to: string; via?: string; device: string; advmss?: number; mtu?: number }
  | { kind: "neighbour"; address: string; device: string }
  /** A device that takes every IPIP packet for this host and unwraps it. */
  | { kind: "ipip"; name: string };

/** A sysctl's key as sysctl(8) writes it, which has a slash where a device's name has a dot: `net.ipv4.conf.eth0/1.forwarding`. */
export const sysctlName = (key: string): string =>
  key.includes("/") ? key.replace(/[./]/g, (c) => (c === "/" ? "." : "/")) : key;

/** Keys of one device's settings, with the device between. */
const deviceKey = /^(net\/ipv[46]\/(?:conf|neigh)\/)([^/]+)(\/.*)$/;

/** The device that a change is made on; null: on none, or it makes its own. */
export function deviceOf(change: HostChange): string | null {
  if (change.kind !== "sysctl") return "device" in change ? change.device : null;
  const device = deviceKey.exec(change.key)?.[2];
  return device === undefined || device === "all" || device === "default" ? null : device;
}

/** The same change on a device that has another name now. */
export function onDevice<C extends HostChange>(change: C, device: string): C {
  if (change.kind !== "sysctl") return "device" in change ? { ...change, device } : change;
  return { ...change, key: change.key.replace(deviceKey, `$1${device.replaceAll("$", "$$$$")}$3`) };
}

/** One line for a person. */
export function hostChangeText(change: HostChange): string {
  switch (change.kind) {
    case "address":
      return `address ${change.address}/${change.prefix} on ${change.device}${change.announce ? ", announced" : ""}`;
    case "sysctl":
      return `sysctl ${sysctlName(change.key)} = ${change.value}${change.rule === "max" ? " (or more)" : ""}`;
    case "nft-table":
      return `nftables table ${change.family} ${change.name}`;
    case "bpf-pins":
      return `BPF maps and programs under ${change.path}`;
    case "xdp":
      return `XDP program on ${change.device}`;
    case "veth":
      return `veth pair ${change.name} - ${change.peer}`;
    case "route":
      return `route ${change.to}${change.via ? ` via ${change.via}` : ""} on ${change.device}${change.advmss ? ` advmss ${change.advmss}` : ""}`;
    case "neighbour":
      return `neighbour entry ${change.address} on ${change.device}, kept fresh`;
    case "ipip":
      return `IPIP device ${change.name}`;
  }
}
