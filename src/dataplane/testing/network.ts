import { runSync } from "../../runtime/child.ts";
import { createTestNetns, type TestNetns, wire } from "../../system/netns-testing.ts";
import { ensureBuilt, objectPath } from "../build.ts";

/** A small network for tests: hosts and switches, each a namespace of its own. Gone after `remove`. */
export class TestNetwork {
  readonly hosts = new Map<string, TestNetns>();
  #ports = 0;

  constructor() {
    ensureBuilt();
  }

  host(name: string): TestNetns {
    let host = this.hosts.get(name);
    if (!host) {
      host = createTestNetns(name);
      this.hosts.set(name, host);
    }
    return host;
  }

  /** A bridge in a namespace of its own. */
  switch(name: string): TestNetns {
    const made = this.host(name);
    made.sh("ip link add br0 type bridge mcast_snooping 0 && ip link set br0 up");
    return made;
  }

  /**
   * A cable from a host to a switch. The switch's end runs a native program that passes all, without which a veth
   * delivers nothing that XDP transmits; the host's transmit checksum offload is off, since XDP cannot complete it.
   */
  plug(host: TestNetns, to: TestNetns, device: string, address: string, mtu = 1500): void {
    const port = `p${this.#ports++}`;
    wire(host, device, address, to, port, "");
    host.sh(`ethtool -K ${device} tx off >/dev/null; ip link set ${device} mtu ${mtu}`);
    // A frame that grew by an outer header must still fit through the cable.
    to.sh(`ip link set ${port} mtu ${mtu + 100} master br0`);
    to.sh(`ip link set dev ${port} xdpdrv obj ${objectPath("pass")} sec xdp`);
  }

  /** The address of a real server: on lo, silent to ARP. */
  holdVip(host: TestNetns, vip: string): void {
    host.sh(`ip address add ${vip}/32 dev lo`);
    host.sh("echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce");
  }

  remove(): void {
    for (const host of this.hosts.values()) host.remove();
    this.hosts.clear();
  }
}

/** Null where XDP can be tested; else the reason why not. */
export function xdpMissing(): string | null {
  for (const program of ["clang", "bpftool", "ethtool"])
    if (runSync(["which", program]).code !== 0) return `${program} is not installed`;
  return null;
}
