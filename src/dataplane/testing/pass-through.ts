import { type Fixture, mac } from "./fixtures.ts";
import { ACK, frame, type Ip, icmp, ipv4, SYN, tcp, tcpSegment, udp } from "./frames.ts";

const client = "202.20.20.20";
const host: Ip = { source: client, target: "125.12.12.12" };
const ssh = { sourcePort: 40_000, targetPort: 22 };

/** What no method may touch: all of it passes byte for byte. `vip` is served on port 80, TCP. */
export const passThrough = (vip: string): Fixture[] => {
  const toVip: Ip = { source: client, target: vip };
  const pass = (name: string, input: Uint8Array): Fixture => ({ name, input, verdict: "pass" });
  const inbound = (packet: number[], type?: number): Uint8Array => frame(mac.gateway, mac.director, packet, type);
  const whole = tcpSegment(host, ssh, ACK, 1, new Array(64).fill(7));
  return [
    pass("a segment of another connection of this host passes", inbound(tcp(host, ssh, ACK))),
    pass("a datagram to another address passes", inbound(udp(host, ssh, [1, 2, 3]))),
    pass("a packet to another port of the VIP passes", inbound(tcp(toVip, ssh, SYN))),
    pass("a datagram to the VIP's TCP port passes", inbound(udp(toVip, { sourcePort: 5656, targetPort: 80 }, [1]))),
    pass("an echo request to the VIP passes: the kernel answers it", inbound(icmp(toVip, 8, 0, [0, 1, 0, 1], [1, 2]))),
    pass(
      "an ICMP error about somebody else's flow passes",
      inbound(icmp(host, 3, 4, [0, 0, 5, 0], tcp(host, ssh, ACK))),
    ),
    pass(
      "a packet with IP options for another address passes",
      inbound(tcp({ ...host, options: [1, 1, 1, 0] }, ssh, ACK)),
    ),
    pass("a first fragment for another address passes", inbound(ipv4({ ...host, moreFragments: true }, 6, whole))),
    pass("a later fragment for another address passes", inbound(ipv4({ ...host, offset: 8 }, 6, whole))),
    pass(
      "a first fragment for another port of the VIP passes",
      inbound(ipv4({ ...toVip, id: 77, moreFragments: true }, 6, tcpSegment(toVip, ssh, ACK))),
    ),
    pass("and so does its later fragment", inbound(ipv4({ ...toVip, id: 77, offset: 3 }, 6, [1, 2, 3, 4, 5, 6, 7, 8]))),
    pass("an ARP request for the VIP passes", inbound(new Array(46).fill(1), 0x0806)),
    pass("an IPv6 packet passes", inbound(new Array(60).fill(0x60), 0x86dd)),
    pass("a tagged frame passes", inbound([0, 5, 8, 0, ...tcp(toVip, { sourcePort: 1, targetPort: 80 }, SYN)], 0x8100)),
    pass(
      "a frame to the VIP that is meant for another host's MAC passes",
      frame(mac.gateway, mac.stranger, tcp(toVip, { sourcePort: 5656, targetPort: 80 }, SYN)),
    ),
    pass("a packet whose length is a lie passes", inbound([...tcp(toVip, ssh, SYN).slice(0, 30)])),
    pass("a packet that claims a header of four words passes", inbound([0x44, ...tcp(host, ssh, SYN).slice(1)])),
  ];
};
