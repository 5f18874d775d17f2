import { toBytes16 } from "../../core/address.ts";
import { type Fixture, mac } from "./fixtures.ts";
import {
  ACK,
  fragment6,
  frame,
  type Ip,
  icmp,
  icmp6,
  ipv4,
  ipv6,
  options6,
  SYN,
  tagged,
  tcp,
  tcpSegment,
  udp,
} from "./frames.ts";

const client = "202.20.20.20";
const host: Ip = { source: client, target: "125.12.12.12" };
const web = { sourcePort: 5656, targetPort: 80 };
const ssh = { sourcePort: 40_000, targetPort: 22 };

const client6 = "2001:db8:20::20";
const host6: Ip = { source: client6, target: "2001:db8:12::12" };
const vip4 = "125.12.12.77";
const vip6 = "2001:db8:12::77";
const solicited: Ip = { source: client6, target: "ff02::1:ff00:77", ttl: 255 };

/** What an error about a reply of the VIP would quote, were it whole and right. */
const quoted = (vip: string, target: string): number[] =>
  tcp({ source: vip, target }, { sourcePort: 80, targetPort: 5656 }, ACK).slice(0, vip.includes(":") ? 48 : 28);
/** An IPv6 packet, but to an IPv4 address. */
const mapped = (packet: number[], target = client): number[] => [
  ...packet.slice(0, 24),
  ...toBytes16(target),
  ...packet.slice(40),
];
const fromMapped = (source: string, packet: number[]): number[] => [
  ...packet.slice(0, 8),
  ...toBytes16(source),
  ...packet.slice(24),
];

const reply6: Ip = { source: vip6, target: client6 };
const segment6 = tcpSegment(reply6, { sourcePort: 80, targetPort: 5656 }, ACK);
const behind6 = ipv6(reply6, 60, options6(6, segment6));
/** One header more than is looked through; by the ports behind it, it would be the VIP's. */
const long6 = (segment: number[]): number[] =>
  [6, 60, 60, 60, 60, 60].reduce((inside, next) => options6(next, inside), segment);

/** IPv6 that is nobody's but the kernel's, also where `vip6` is served on port 80, TCP. */
const passThrough6 = [
  { name: "a segment over IPv6 to this host passes", packet: tcp(host6, ssh, ACK) },
  { name: "a datagram over IPv6 to another port of the VIP passes", packet: udp({ ...host6, target: vip6 }, ssh, [1]) },
  {
    name: "a neighbour solicitation for the VIP passes",
    packet: icmp6(solicited, 135, 0, [0, 0, 0, 0], [...toBytes16(vip6), 1, 1, 2, 0, 0, 0, 0, 1]),
  },
  { name: "a multicast listener report passes", packet: icmp6(solicited, 143, 0, [0, 0, 0, 0], []) },
  {
    name: "an echo request over IPv6 to the VIP passes",
    packet: icmp6({ ...host6, target: vip6 }, 128, 0, [0, 1, 0, 1], []),
  },
  {
    name: "an ICMPv6 error about somebody else's flow passes",
    packet: icmp6(host6, 2, 0, [0, 0, 5, 0], tcp({ source: host6.target, target: client6 }, ssh, ACK)),
  },
  {
    name: "an ICMPv6 error that quotes a packet to an IPv4 address in its mapped form passes: no wire has such",
    packet: icmp6({ ...host6, target: vip6 }, 1, 0, [0, 0, 0, 0], mapped(quoted(vip6, client6))),
  },
  {
    name: "an ICMPv6 error that quotes a packet of another version passes",
    packet: icmp6({ ...host6, target: vip6 }, 1, 0, [0, 0, 0, 0], [0x40, ...quoted(vip6, client6).slice(1)]),
  },
  {
    name: "a packet over IPv6 to an IPv4 address in its mapped form passes, also where that address is a VIP",
    packet: mapped(tcp({ ...host6, target: vip6 }, web, SYN), vip4),
  },
  {
    name: "a packet over IPv6 that is from such an address passes",
    packet: fromMapped(client, tcp({ ...host6, target: vip6 }, web, SYN)),
  },
  {
    // The sender's address would be read as ports, 80 among them.
    name: "a chain of extension headers longer than 511 bytes passes",
    packet: ipv6({ source: "2001:50::20", target: vip6 }, 60, [
      ...[6, 59, ...new Array(478).fill(0)],
      ...tcpSegment({ ...host6, target: vip6 }, web, SYN),
    ]),
  },
  {
    name: "what ends within its fragment header passes, whatever stands behind it",
    packet: ((packet) => [...packet.slice(0, 4), 0, 4, ...packet.slice(6)])(
      ipv6({ ...host6, target: vip6 }, 44, fragment6(6, 7, 3, true, [1, 2, 3, 4, 5, 6, 7, 8])),
    ),
  },
  {
    name: "an ICMPv6 error that quotes an unknown extension header passes",
    packet: icmp6({ ...host6, target: vip6 }, 1, 0, [0, 0, 0, 0], ipv6(reply6, 135, options6(6, segment6))),
  },
  {
    name: "an ICMPv6 error that quotes six extension headers passes",
    packet: icmp6({ ...host6, target: vip6 }, 1, 0, [0, 0, 0, 0], ipv6(reply6, 60, long6(segment6))),
  },
  {
    name: "an ICMPv6 error whose quote ends among its extension headers passes",
    packet: icmp6({ ...host6, target: vip6 }, 1, 0, [0, 0, 0, 0], behind6.slice(0, 44)),
  },
  {
    name: "one whose quote ends behind them, before the ports, passes, whatever stands behind it",
    packet: [...icmp6({ ...host6, target: vip6 }, 1, 0, [0, 0, 0, 0], behind6.slice(0, 48)), ...behind6.slice(48)],
  },
  { name: "an unknown extension header passes", packet: ipv6({ ...host6, target: vip6 }, 135, new Array(24).fill(0)) },
  {
    name: "a segment behind six extension headers passes",
    packet: ipv6({ ...host6, target: vip6 }, 60, long6(tcpSegment({ ...host6, target: vip6 }, web, ACK))),
  },
];

/** Frames for a served port whose tags are not read: they pass, and are counted. */
export const unreadTags = (vip: string): Fixture[] => {
  const served = frame(
    mac.gateway,
    mac.director,
    tcp({ source: client, target: vip }, { ...ssh, targetPort: 80 }, SYN),
  );
  const provider = (input: Uint8Array): Uint8Array => input.with(12, 0x88).with(13, 0xa8);
  return [
    { name: "a frame with two tags passes", input: tagged(tagged(served, 5), 6), verdict: "pass" },
    { name: "a frame with a provider's tag passes", input: provider(tagged(served, 5)), verdict: "pass" },
    {
      name: "a frame with a provider's tag and another passes",
      input: provider(tagged(tagged(served, 5), 6)),
      verdict: "pass",
    },
  ];
};

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
    pass("a datagram to the VIP's TCP port passes", inbound(udp(toVip, web, [1]))),
    pass("an echo request to the VIP passes: the kernel answers it", inbound(icmp(toVip, 8, 0, [0, 1, 0, 1], [1, 2]))),
    pass(
      "an ICMP error about somebody else's flow passes",
      inbound(icmp(host, 3, 4, [0, 0, 5, 0], tcp(host, ssh, ACK))),
    ),
    pass(
      // Its target would be read as ports, 80 among them.
      "an ICMP error that quotes a header of four words passes",
      inbound(icmp(toVip, 3, 1, [0, 0, 0, 0], [0x44, ...quoted(vip, "0.80.22.24").slice(1)])),
    ),
    pass(
      "an ICMP error whose quote ends before the ports passes, whatever stands behind it",
      inbound([...icmp(toVip, 3, 1, [0, 0, 0, 0], quoted(vip, client).slice(0, 20)), ...quoted(vip, client).slice(20)]),
    ),
    pass(
      "the first part of an ICMP error passes: nobody could give the others to the same backend",
      inbound(
        ipv4({ ...toVip, moreFragments: true }, 1, icmp(toVip, 3, 1, [0, 0, 0, 0], quoted(vip, client)).slice(20)),
      ),
    ),
    pass(
      "an ICMPv6 error in IPv4 passes",
      inbound(ipv4(toVip, 58, icmp6(host6, 1, 0, [0, 0, 0, 0], fromMapped(vip, quoted(vip6, client6))).slice(40))),
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
    pass("what only claims to be IPv6 passes", inbound(new Array(60).fill(0x60), 0x86dd)),
    pass("a tagged frame for another port passes with its tag", tagged(inbound(tcp(toVip, ssh, SYN)), 0xa005)),
    ...unreadTags(vip),
    ...passThrough6.map(({ name, packet }) => pass(name, inbound(packet))),
    pass(
      "a frame to the VIP that is meant for another host's MAC passes",
      frame(mac.gateway, mac.stranger, tcp(toVip, web, SYN)),
    ),
    pass("a packet whose length is a lie passes", inbound([...tcp(toVip, ssh, SYN).slice(0, 30)])),
    pass(
      "so does one for a port that is served",
      inbound([...tcp(toVip, { sourcePort: 5656, targetPort: 80 }, SYN, 1, [1, 2, 3]).slice(0, 42)]),
    ),
    pass("a packet that claims a header of four words passes", inbound([0x44, ...tcp(host, ssh, SYN).slice(1)])),
  ];
};
