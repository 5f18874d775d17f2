import type { Fixture } from "../../dataplane/testing/fixtures.ts";
import { mac } from "../../dataplane/testing/fixtures.ts";
import {
  ACK,
  FIN,
  fragment6,
  frame,
  type Ip,
  icmp,
  icmp6,
  ipv4,
  ipv6,
  options6,
  RST,
  routing6,
  SYN,
  tagged,
  tcp,
  tcpSegment,
  udp,
} from "../../dataplane/testing/frames.ts";

export const vip = "125.12.12.77";
const client = "202.20.20.20";
const way: Ip = { source: client, target: vip };
const web = { sourcePort: 5656, targetPort: 80 };
const dns = { sourcePort: 5656, targetPort: 53 };
const long = tcpSegment(way, web, ACK, 1, new Array(100).fill(9));

/** In by the gateway; out with the real server's MAC as target and ours as source, the packet as it came. */
const moved = (name: string, packet: number[]): Fixture => ({
  name,
  input: frame(mac.gateway, mac.director, packet),
  verdict: "tx",
  output: frame(mac.director, mac.backend, packet),
});

export const vip6 = "2001:db8:12::77";
const client6 = "2001:db8:20::20";
const way6: Ip = { source: client6, target: vip6 };
const long6 = tcpSegment(way6, web, ACK, 1, new Array(100).fill(9));
const router6 = "2001:db8:99::1";
const reply6: Ip = { source: vip6, target: client6 };
/** A part of a reply, as far as an error quotes it; `offset` in units of 8 bytes. */
const quoted6 = (offset: number): number[] =>
  ipv6(reply6, 44, fragment6(6, 7, offset, true, tcpSegment(reply6, { sourcePort: 80, targetPort: 5656 }, ACK)));

const segment6 = tcpSegment(reply6, { sourcePort: 80, targetPort: 5656 }, ACK);
const tooBig6 = (quote: number[]): number[] => icmp6({ source: router6, target: vip6 }, 2, 0, [0, 0, 5, 0], quote);
/** Five headers of options, and the transport `header` bytes behind the start of the packet that an error quotes. */
const chain6 = (header: number): number[] =>
  ipv6(
    reply6,
    0,
    options6(
      60,
      [6, 60, 60, 60].reduce((inside, next) => options6(next, inside), segment6),
      header - 72,
    ),
  );

/** The same over IPv6, at the real server that the IPv4 VIP has. */
export const packets6: Fixture[] = [
  moved("a SYN over IPv6 goes to the real server's MAC untouched", tcp(way6, web, SYN)),
  moved("so does a datagram", udp(way6, dns, [1, 2, 3])),
  moved("a hop limit of one is left alone", tcp({ ...way6, ttl: 1 }, web, SYN)),
  moved("extension headers do not hide the ports", ipv6(way6, 60, options6(6, tcpSegment(way6, web, ACK)))),
  moved("a fragment that is the whole packet goes there", ipv6(way6, 44, fragment6(6, 7, 0, false, long6))),
  moved("a first fragment over IPv6 goes there", ipv6(way6, 44, fragment6(6, 9, 0, true, long6.slice(0, 64)))),
  moved("its later fragment follows it", ipv6(way6, 44, fragment6(6, 9, 8, false, long6.slice(64)))),
  {
    name: "a later fragment over IPv6 whose first was not seen is dropped by name",
    input: frame(mac.gateway, mac.director, ipv6(way6, 44, fragment6(6, 10, 8, false, long6.slice(64)))),
    verdict: "drop",
    reason: "SLUICE_DROP_FRAGMENT",
  },
  ...[1, 2, 3, 4].map((type) =>
    moved(
      `an ICMPv6 error of type ${type} about a reply goes to the backend that sent the reply`,
      icmp6(
        { source: router6, target: vip6 },
        type,
        0,
        [0, 0, 0x05, 0x00],
        tcp(reply6, { sourcePort: 80, targetPort: 5656 }, ACK),
      ),
    ),
  ),
  moved("an ICMPv6 error about the first part of a datagram goes to the backend that sent it", tooBig6(quoted6(0))),
  ...(
    [
      ["hop-by-hop options", 0, options6(6, segment6)],
      ["destination options of 24 bytes", 60, options6(6, segment6, 24)],
      ["a routing header", 43, routing6(6, client6, segment6)],
      ["a fragment header behind options, of its first part", 0, options6(44, fragment6(6, 7, 0, true, segment6))],
      ["options behind the fragment header of its first part", 44, fragment6(60, 7, 0, true, options6(6, segment6))],
      ["a datagram behind options", 60, options6(17, udp(reply6, { sourcePort: 53, targetPort: 5656 }, []).slice(40))],
    ] as const
  ).map(([what, next, inside]) =>
    moved(
      `an ICMPv6 error that quotes ${what} goes to the backend that sent it`,
      tooBig6(ipv6(reply6, next, [...inside])),
    ),
  ),
  moved("so does one that quotes as many and as long headers as are forwarded", tooBig6(chain6(504))),
  moved(
    "so does one that comes behind options itself",
    ipv6({ source: router6, target: vip6 }, 60, options6(58, tooBig6(chain6(80)).slice(40), 464)),
  ),
  {
    name: "an ICMPv6 error that quotes longer headers than are forwarded passes",
    input: frame(mac.gateway, mac.director, tooBig6(chain6(512))),
    verdict: "pass",
  },
  {
    name: "an ICMPv6 error about a later part behind options passes: it names no flow",
    input: frame(mac.gateway, mac.director, tooBig6(ipv6(reply6, 0, options6(44, fragment6(6, 7, 3, true, segment6))))),
    verdict: "pass",
  },
  {
    name: "an ICMPv6 error about a later part of a datagram passes: it names no flow",
    input: frame(mac.gateway, mac.director, tooBig6(quoted6(3))),
    verdict: "pass",
  },
  {
    name: "half a TCP header over IPv6 is dropped by name",
    input: frame(mac.gateway, mac.director, ipv6(way6, 6, tcpSegment(way6, web, SYN).slice(0, 8))),
    verdict: "drop",
    reason: "SLUICE_DROP_MALFORMED",
  },
];

const syn = frame(mac.gateway, mac.director, tcp(way, web, SYN));
const synOut = frame(mac.director, mac.backend, tcp(way, web, SYN));

/** Frames with tags, by the VLAN that the real server is in. */
export const taggedPackets: Record<number, Fixture[]> = {
  0: [
    { name: "a tag is taken off where the real server has none", input: tagged(syn, 5), verdict: "tx", output: synOut },
  ],
  7: [
    {
      name: "the real server's tag is put on",
      input: syn,
      verdict: "tx",
      output: tagged(synOut, 7),
    },
    {
      name: "a tag becomes the real server's and keeps its priority",
      input: tagged(syn, 0xa005),
      verdict: "tx",
      output: tagged(synOut, 0xa007),
    },
  ],
};

const full = tcp({ ...way, dontFragment: true }, web, ACK, 1, new Array(1460).fill(3));
const fitting = tcp({ ...way, dontFragment: true }, web, ACK, 1, new Array(1360).fill(3));
const loose = tcp(way, web, ACK, 1, new Array(1460).fill(3));
const full6 = tcp(way6, web, ACK, 1, new Array(1440).fill(3));
/** 1,400. */
const mtu = [0, 0, 0x05, 0x78];
const answered = (packet: number[]): Uint8Array => frame(mac.director, mac.gateway, packet);

/** The real server is in VLAN 7, whose link carries 1,400 bytes; these packets have 1,500, but for the last two. */
export const narrow = { vlan: 7, mtu: 1400 };
export const narrowPackets: Fixture[] = [
  {
    name: "what does not fit the real server's link comes back as an ICMP error with the size that would",
    input: frame(mac.gateway, mac.director, full),
    verdict: "tx",
    output: answered(icmp({ source: vip, target: client, id: 0 }, 3, 4, mtu, full.slice(0, 68))),
  },
  {
    name: "what does not fit there and may be fragmented is dropped by name",
    input: frame(mac.gateway, mac.director, loose),
    verdict: "drop",
    reason: "SLUICE_DROP_TOO_BIG",
  },
  {
    name: "IPv6 that does not fit there comes back as packet too big",
    input: frame(mac.gateway, mac.director, full6),
    verdict: "tx",
    output: answered(icmp6({ source: vip6, target: client6 }, 2, 0, mtu, full6.slice(0, 1232))),
  },
  {
    name: "the error goes back in the VLAN of the packet that did not fit",
    input: tagged(frame(mac.gateway, mac.director, full), 5),
    verdict: "tx",
    output: tagged(answered(icmp({ source: vip, target: client, id: 0 }, 3, 4, mtu, full.slice(0, 68))), 5),
  },
  {
    name: "what came by the link that it leaves by fits there",
    input: tagged(frame(mac.gateway, mac.director, full), 7),
    verdict: "tx",
    output: tagged(frame(mac.director, mac.backend, full), 7),
  },
  {
    name: "what fits is tagged and goes there",
    input: syn,
    verdict: "tx",
    output: tagged(synOut, 7),
  },
  {
    name: "so does what fits to the last byte",
    input: frame(mac.gateway, mac.director, fitting),
    verdict: "tx",
    output: tagged(frame(mac.director, mac.backend, fitting), 7),
  },
];

/** The VIP serves 80/tcp and 53/udp at one real server. In this order: later fragments follow first ones. */
export const packets: Fixture[] = [
  moved("a SYN goes to the real server's MAC with its IP packet untouched", tcp(way, web, SYN)),
  moved("so does a segment of a connection that began elsewhere", tcp(way, web, ACK, 99, [1, 2, 3])),
  moved("so does a FIN", tcp(way, web, FIN | ACK)),
  moved("so does a RST", tcp(way, web, RST)),
  moved("a TTL of one is left alone: no hop is taken", tcp({ ...way, ttl: 1 }, web, SYN)),
  moved("IP options are left alone", tcp({ ...way, options: [1, 1, 1, 0] }, web, SYN)),
  moved("a datagram goes there", udp(way, dns, [1, 2, 3, 4, 5])),
  moved("a datagram without a checksum goes there without one", udp(way, dns, [1, 2, 3], false)),
  moved("a first fragment goes there", ipv4({ ...way, id: 9, moreFragments: true }, 6, long.slice(0, 64))),
  moved("its later fragment follows it", ipv4({ ...way, id: 9, offset: 8 }, 6, long.slice(64))),
  {
    name: "a later fragment whose first was not seen is dropped by name",
    input: frame(mac.gateway, mac.director, ipv4({ ...way, id: 10, offset: 8 }, 6, long.slice(64))),
    verdict: "drop",
    reason: "SLUICE_DROP_FRAGMENT",
  },
  moved(
    "an ICMP error about a reply goes to the backend that sent the reply",
    icmp(
      { source: "198.51.100.1", target: vip },
      3,
      4,
      [0, 0, 0x05, 0x00],
      tcp({ source: vip, target: client }, { sourcePort: 80, targetPort: 5656 }, ACK).slice(0, 28),
    ),
  ),
  {
    name: "half a TCP header is dropped by name",
    input: frame(mac.gateway, mac.director, ipv4(way, 6, tcpSegment(way, web, SYN).slice(0, 8))),
    verdict: "drop",
    reason: "SLUICE_DROP_MALFORMED",
  },
];
