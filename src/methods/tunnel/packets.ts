import type { Fixture } from "../../dataplane/testing/fixtures.ts";
import { mac } from "../../dataplane/testing/fixtures.ts";
import {
  ACK,
  frame,
  type Ip,
  icmp,
  icmp6,
  ipv4,
  ipv6,
  namingHeader,
  RST,
  SYN,
  tcp,
  tcpSegment,
  udp,
} from "../../dataplane/testing/frames.ts";

export const vip = "125.12.12.77";
export const real = "198.51.100.20";
const director = "125.12.12.12";
const way: Ip = { source: "202.20.20.20", target: vip, dontFragment: true };
const web = { sourcePort: 5656, targetPort: 80 };
const dns = { sourcePort: 5656, targetPort: 53 };
const bytes = (count: number): number[] => new Array(count).fill(3);

/** Wrapped in a header from the director to the real server; the packet as it came. */
const wrapped = (name: string, packet: number[], outer: Partial<Ip>): Fixture => ({
  name,
  input: frame(mac.gateway, mac.director, packet),
  verdict: "tx",
  output: frame(mac.director, mac.backend, ipv4({ source: director, target: real, ttl: 64, ...outer }, 4, packet)),
});

// 1500 bytes, and with the outer header 1520: 20 more than the link carries.
const full = tcp(way, web, ACK, 1, bytes(1460));

/** The VIP serves 80/tcp and 53/udp at one real server behind a link of 1500 bytes. */
export const packets: Fixture[] = [
  wrapped("a SYN is wrapped untouched, with the same don't-fragment bit", tcp(way, web, SYN), {
    dontFragment: true,
    id: 0,
  }),
  wrapped("class of service and congestion bits are copied outside", tcp({ ...way, tos: 0xb9 }, web, ACK), {
    dontFragment: true,
    id: 0,
    tos: 0xb9,
  }),
  wrapped("the inner TTL stays as it is", tcp({ ...way, ttl: 3 }, web, ACK), { dontFragment: true, id: 0 }),
  wrapped("a datagram is wrapped", udp(way, dns, [1, 2, 3]), { dontFragment: true, id: 0 }),
  wrapped("what just fits is wrapped", tcp(way, web, ACK, 1, bytes(1440)), { dontFragment: true, id: 0 }),
  {
    name: "what does not fit comes back as an ICMP error with the size that would",
    input: frame(mac.gateway, mac.director, full),
    verdict: "tx",
    output: frame(
      mac.director,
      mac.gateway,
      icmp({ source: vip, target: way.source, id: 0 }, 3, 4, [0, 0, 0x05, 0xc8], full.slice(0, 68)),
    ),
  },
  {
    name: "what does not fit and may be fragmented is dropped by name",
    input: frame(mac.gateway, mac.director, tcp({ ...way, dontFragment: false }, web, ACK, 1, bytes(1460))),
    verdict: "drop",
    reason: "SLUICE_DROP_TOO_BIG",
  },
];

/** A reply of the VIP, as routers quote it. */
const about = (count: number): number[] =>
  tcp({ source: vip, target: way.source }, { sourcePort: 80, targetPort: 5656 }, ACK, 1, bytes(count));
const router: Ip = { source: "198.51.100.1", target: vip, dontFragment: true };

/** Of the same service. */
export const errorTooBig: Fixture = {
  name: "an error that does not fit is dropped by name: none is sent about errors",
  input: frame(mac.gateway, mac.director, icmp(router, 3, 1, [0, 0, 0, 0], about(1432))),
  verdict: "drop",
  reason: "SLUICE_DROP_TOO_BIG",
};

/** A router beyond the link of 1,500 bytes carries 1,400. */
export const NARROW = 1400;
const narrowFull = tcp(way, web, ACK, 1, bytes(NARROW - 20 - 40));
const narrowOver = tcp(way, web, ACK, 1, bytes(NARROW - 20 - 39));
const loose = { ...way, dontFragment: false };
/** An identification that its own program chose. */
const parted = (packet: number[], id: number, protocol = 4): number[] =>
  ipv4({ source: director, target: real, ttl: 64, id }, protocol, packet);

/** `id`: the outer identification of what may be parted. */
export const packetsByNarrowWay = [
  wrapped("what just fits the narrow way is wrapped", narrowFull, { dontFragment: true, id: 0 }),
  {
    name: "what does not fit the narrow way comes back as an ICMP error with the size that would",
    input: frame(mac.gateway, mac.director, narrowOver),
    verdict: "tx",
    output: frame(
      mac.director,
      mac.gateway,
      icmp({ source: vip, target: way.source, id: 0 }, 3, 4, [0, 0, 0x05, 0x64], narrowOver.slice(0, 68)),
    ),
  },
  {
    name: "what may be fragmented and does not fit the link either is dropped by name",
    input: frame(mac.gateway, mac.director, tcp(loose, web, ACK, 1, bytes(1460))),
    verdict: "drop",
    reason: "SLUICE_DROP_TOO_BIG",
  },
] satisfies Fixture[];

export const vip6 = "2001:db8:12::77";
export const real6 = "2001:db8:98::14";
const director6 = "2001:db8:12::12";
const way6: Ip = { source: "2001:db8:20::20", target: vip6 };
const ask6 = tcp({ ...way6, tos: 0xb9 }, web, ACK);
const long6 = tcp(way6, web, ACK, 1, bytes(1440));

const into = (name: string, packet: number[], outer: number[]): Fixture => ({
  name,
  input: frame(mac.gateway, mac.director, packet),
  verdict: "tx",
  output: frame(mac.director, mac.backend, outer),
});
const tooBig = (fits: number, packet = long6): Uint8Array =>
  frame(
    mac.director,
    mac.gateway,
    icmp6({ source: vip6, target: way6.source }, 2, 0, [0, 0, fits >> 8, fits & 255], packet.slice(0, 1232)),
  );

/** Both VIPs, at the IPv4 real server. */
export const packets6in4: Fixture[] = [
  into(
    "IPv6 travels in IPv4, which may not be fragmented either",
    ask6,
    ipv4({ source: director, target: real, id: 0, dontFragment: true, tos: 0xb9 }, 41, ask6),
  ),
  {
    name: "IPv6 that does not fit IPv4 comes back as packet too big",
    input: frame(mac.gateway, mac.director, long6),
    verdict: "tx",
    output: tooBig(1480),
  },
];

const outer6 = { source: director6, target: real6, tos: 0xb9 };
const ask4 = tcp({ ...way, tos: 0xb9 }, web, ACK);

/** Both VIPs, at the IPv6 real server. The flow label is what the program chose: it differs from flow to flow. */
export const packetsIn6 = (flow: number): Fixture[] => [
  into("IPv6 travels in IPv6", ask6, ipv6({ ...outer6, flow }, 41, ask6)),
  {
    name: "IPv6 that does not fit IPv6 comes back as packet too big",
    input: frame(mac.gateway, mac.director, long6),
    verdict: "tx",
    output: tooBig(1460),
  },
];
export const packet4in6 = (flow: number): Fixture =>
  into("IPv4 travels in IPv6", ask4, ipv6({ ...outer6, flow }, 4, ask4));

const narrow6 = tcp(way6, web, ACK, 1, bytes(1280 - 60));
/** What the narrow way does not carry whole, and routers may part: identifications differ, so each is asked for. */
export const partedByNarrowWay = {
  "what may be fragmented and does not fit the narrow way is left to the router": {
    input: frame(mac.gateway, mac.director, tcp(loose, web, ACK, 1, bytes(1400))),
    output: (id: number) => frame(mac.director, mac.backend, parted(tcp(loose, web, ACK, 1, bytes(1400)), id)),
    mtu: NARROW,
  },
  "IPv6 of its least MTU may be parted in IPv4: nobody may be asked for less": {
    input: frame(mac.gateway, mac.director, narrow6),
    output: (id: number) => frame(mac.director, mac.backend, parted(narrow6, id, 41)),
    mtu: 1280,
  },
};

const over6 = tcp(way6, web, ACK, 1, bytes(NARROW - 20 - 59));
const least6 = tcp(way6, web, ACK, 1, bytes(1281 - 60));
/** IPv6 in IPv4 on a way of so many bytes. */
export const packets6ByNarrowWay: (Fixture & { mtu: number })[] = [
  {
    name: "IPv6 beyond its least MTU is not parted: it comes back as packet too big",
    input: frame(mac.gateway, mac.director, over6),
    verdict: "tx",
    output: tooBig(NARROW - 20, over6),
    mtu: NARROW,
  },
  {
    name: "nobody is asked for less than the least MTU",
    input: frame(mac.gateway, mac.director, least6),
    verdict: "tx",
    output: tooBig(1280, least6),
    mtu: 1290,
  },
];
/** To the IPv6 real server. */
export const loose4ByNarrowWay: Fixture = {
  name: "what may be fragmented is dropped by name where it does not fit the narrow way in IPv6: no router parts that",
  input: frame(mac.gateway, mac.director, tcp(loose, web, ACK, 1, bytes(1400))),
  verdict: "drop",
  reason: "SLUICE_DROP_TOO_BIG",
};

/** GUE at port 6080: UDP without a checksum, from a port of the flow's own. */
export const packetsInGue = (sourcePort: number): Fixture => {
  const packet = tcp(way, web, ACK);
  const around = udp(
    { source: director, target: real, id: 0, dontFragment: true },
    { sourcePort, targetPort: 6080 },
    packet,
    false,
  );
  return into("a packet travels in UDP from a port of its flow", packet, around);
};

/** Real servers that a packet may name, besides where it goes. */
export const others = ["198.51.100.21", "198.51.100.22", "198.51.100.23"];
export const others6 = ["2001:db8:98::15", "2001:db8:98::16"];

const inGue = (outer: Ip, sourcePort: number, header: number[], packet: number[]): number[] =>
  udp({ id: 0, dontFragment: true, ...outer }, { sourcePort, targetPort: 6080 }, [...header, ...packet], false);

/** Of a service with second chances. `asked`: whom it goes to, and who else is named, as the program chose them. */
export const packetsNamingOthers = (sourcePort: number, target: string, named: readonly string[]): Fixture[] => {
  const outer = { source: director, target };
  const naming = (name: string, packet: number[]): Fixture =>
    into(name, packet, inGue(outer, sourcePort, namingHeader(4, named), packet));
  const plain = (name: string, packet: number[]): Fixture => into(name, packet, inGue(outer, sourcePort, [], packet));
  const room = 1500 - 20 - 8 - 16;
  return [
    naming("a segment names who else may have its connection", tcp(way, web, ACK)),
    naming("a reset does, too: it must end the connection where it is", tcp(way, web, RST)),
    naming("a segment that just fits with the names is wrapped", tcp(way, web, ACK, 1, bytes(room - 40))),
    {
      name: "a segment that does not fit with the names comes back with the size that would",
      input: frame(mac.gateway, mac.director, tcp(way, web, ACK, 1, bytes(room - 39))),
      verdict: "tx",
      output: frame(
        mac.director,
        mac.gateway,
        icmp(
          { source: vip, target: way.source, id: 0 },
          3,
          4,
          [0, 0, room >> 8, room & 255],
          tcp(way, web, ACK, 1, bytes(room - 39)).slice(0, 68),
        ),
      ),
    },
    plain("a SYN names nobody: it begins a connection", tcp(way, web, SYN)),
    plain(
      "a part of a segment names nobody: a real server cannot know whose it is",
      ipv4({ ...way, id: 3, moreFragments: true }, 6, tcpSegment(way, web, ACK, 1, bytes(60)).slice(0, 64)),
    ),
    plain("an error about the connection names nobody", icmp(router, 3, 1, [0, 0, 0, 0], about(0).slice(0, 28))),
  ];
};

/** Wrapped in IPv6. */
export const packetNamingOthers6 = (
  sourcePort: number,
  flow: number,
  target: string,
  named: readonly string[],
): Fixture =>
  into(
    "in IPv6 a segment names who else may have its connection",
    ask6,
    ipv6(
      { ...outer6, target, flow },
      17,
      udp(
        { source: director6, target },
        { sourcePort, targetPort: 6080 },
        [...namingHeader(41, named), ...ask6],
        false,
      ).slice(40),
    ),
  );
