import type { Fixture } from "../../dataplane/testing/fixtures.ts";
import { mac } from "../../dataplane/testing/fixtures.ts";
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
} from "../../dataplane/testing/frames.ts";

export const vip = "125.12.12.77";
export const real = { address: "10.0.1.210", port: 8000 };
const client = "202.20.20.20";
const web = { sourcePort: 5656, targetPort: 80 };
const translated = { sourcePort: 5656, targetPort: real.port };
const before: Ip = { source: client, target: vip, ttl: 64 };
const after: Ip = { source: client, target: real.address, ttl: 63 };
const reply = { sourcePort: real.port, targetPort: 5656 };
const shown = { sourcePort: 80, targetPort: 5656 };
const fromReal: Ip = { source: real.address, target: client, ttl: 64 };
const fromVip: Ip = { source: vip, target: client, ttl: 63 };
const data = [1, 2, 3, 4, 5];
const router = "198.51.100.1";

const into = (packet: number[]): Uint8Array => frame(mac.gateway, mac.director, packet);
const towardsReal = (packet: number[]): Uint8Array => frame(mac.director, mac.backend, packet);
const outOfReal = (packet: number[]): Uint8Array => frame(mac.backend, mac.director, packet);
const towardsClient = (packet: number[]): Uint8Array => frame(mac.director, mac.gateway, packet);
const tx = (name: string, input: Uint8Array, output: Uint8Array): Fixture => ({ name, input, verdict: "tx", output });

const halves = (ip: Ip, ports: typeof web): [number[], number[]] => {
  const whole = tcpSegment(ip, ports, ACK, 1, new Array(100).fill(9));
  return [whole.slice(0, 64), whole.slice(64)];
};
const [first, later] = halves(before, web);
const [firstAfter, laterAfter] = halves(after, translated);

/** Data of a datagram whose checksum becomes zero in another's headers. */
function vanishing(ip: Ip, ports: typeof web): number[] {
  const at = ip.source.includes(":") ? 46 : 26;
  for (let word = 0; word <= 0xffff; word++) {
    const bytes = [word >> 8, word & 0xff];
    const packet = udp(ip, ports, bytes);
    if (packet[at] === 0xff && packet[at + 1] === 0xff) return bytes;
  }
  throw new Error("there is one such word");
}

const toDirector = outOfReal(
  tcp({ source: real.address, target: "125.12.12.12" }, { sourcePort: real.port, targetPort: 33_000 }, ACK),
);

/** The VIP serves port 80, TCP and UDP, at one backend on port 8000; the client is behind the gateway. */
export const packets: Fixture[] = [
  tx(
    "a SYN gets the backend's address and port",
    into(tcp(before, web, SYN)),
    towardsReal(tcp(after, translated, SYN)),
  ),
  tx("so does a datagram", into(udp(before, web, data)), towardsReal(udp(after, translated, data))),
  tx(
    "a datagram without a checksum stays without one",
    into(udp(before, web, data, false)),
    towardsReal(udp(after, translated, data, false)),
  ),
  tx(
    "a checksum that becomes zero is written as all ones: zero would say that there is none",
    into(udp(before, web, vanishing(after, translated))),
    towardsReal(udp(after, translated, vanishing(after, translated))),
  ),
  tx(
    "IP options do not hide the ports",
    into(tcp({ ...before, options: [1, 1, 1, 0] }, web, ACK, 1, data)),
    towardsReal(tcp({ ...after, options: [1, 1, 1, 0] }, translated, ACK, 1, data)),
  ),
  tx(
    "a first fragment is translated with its ports",
    into(ipv4({ ...before, id: 5, moreFragments: true }, 6, first)),
    towardsReal(ipv4({ ...after, id: 5, moreFragments: true }, 6, firstAfter)),
  ),
  tx(
    "a later fragment gets the backend's address, and its bytes are nobody's ports",
    into(ipv4({ ...before, id: 5, offset: 8 }, 6, later)),
    towardsReal(ipv4({ ...after, id: 5, offset: 8 }, 6, laterAfter)),
  ),
  {
    name: "a later fragment at the end of its way is dropped by name: nobody is told of it",
    input: into(ipv4({ ...before, id: 5, offset: 8, ttl: 1 }, 6, later)),
    verdict: "drop",
    reason: "SLUICE_DROP_TTL",
  },
  tx(
    "an ICMP error about a reply is translated outside and in its quote",
    into(
      icmp({ source: "198.51.100.1", target: vip, ttl: 64 }, 3, 4, [0, 0, 5, 0], tcp(fromVip, shown, ACK).slice(0, 28)),
    ),
    towardsReal(
      icmp(
        { source: "198.51.100.1", target: real.address, ttl: 63 },
        3,
        4,
        [0, 0, 5, 0],
        tcp({ ...fromVip, source: real.address }, reply, ACK).slice(0, 28),
      ),
    ),
  ),
  tx(
    "a packet at the end of its way is answered with time exceeded",
    into(tcp({ ...before, ttl: 1 }, web, SYN)),
    towardsClient(
      icmp(
        { source: vip, target: client, id: 0 },
        11,
        0,
        [0, 0, 0, 0],
        tcp({ ...before, ttl: 1 }, web, SYN).slice(0, 28),
      ),
    ),
  ),
  {
    name: "an error at the end of its way is dropped by name",
    input: into(
      icmp({ source: router, target: vip, ttl: 1 }, 3, 4, [0, 0, 5, 0], tcp(fromVip, shown, ACK).slice(0, 28)),
    ),
    verdict: "drop",
    reason: "SLUICE_DROP_TTL",
  },
  tx(
    "a reply of the backend leaves from the VIP, by the client's gateway",
    outOfReal(tcp(fromReal, reply, SYN | ACK)),
    towardsClient(tcp(fromVip, shown, SYN | ACK)),
  ),
  tx("so does a datagram of it", outOfReal(udp(fromReal, reply, data)), towardsClient(udp(fromVip, shown, data))),
  tx(
    "an ICMP error of the backend about a packet of the client comes from the VIP and speaks of the VIP",
    outOfReal(icmp({ ...fromReal, ttl: 64 }, 3, 3, [0, 0, 0, 0], udp(after, translated, data).slice(0, 28))),
    towardsClient(
      icmp(
        { ...fromVip, ttl: 63 },
        3,
        3,
        [0, 0, 0, 0],
        udp({ ...before, ttl: 63 }, web, data, false)
          .slice(0, 26)
          .concat(udp(after, translated, data).slice(26, 28)),
      ),
    ),
  ),
  tx(
    "an ICMP error of a router before the backend keeps the router's address and speaks of the VIP",
    outOfReal(
      icmp(
        { source: "10.0.1.1", target: client, ttl: 64 },
        11,
        0,
        [0, 0, 0, 0],
        tcp(after, translated, ACK).slice(0, 28),
      ),
    ),
    towardsClient(
      icmp(
        { source: "10.0.1.1", target: client, ttl: 63 },
        11,
        0,
        [0, 0, 0, 0],
        tcp({ ...before, ttl: 63 }, web, ACK).slice(0, 28),
      ),
    ),
  ),
  tx(
    "a reply at the end of its way is answered by the director",
    outOfReal(tcp({ ...fromReal, ttl: 1 }, reply, ACK)),
    frame(
      mac.director,
      mac.backend,
      icmp(
        { source: "125.12.12.12", target: real.address, id: 0 },
        11,
        0,
        [0, 0, 0, 0],
        tcp({ ...fromReal, ttl: 1 }, reply, ACK).slice(0, 28),
      ),
    ),
  ),
  {
    name: "what the backend begins from another port passes",
    input: outOfReal(tcp(fromReal, { sourcePort: 40_000, targetPort: 443 }, SYN)),
    verdict: "pass",
  },
  { name: "a reply to the director itself passes", input: toDirector, verdict: "pass" },
  { name: "so does a tagged one, with its tag", input: tagged(toDirector, 0xa005), verdict: "pass" },
];

const full = tcp({ ...before, dontFragment: true }, web, ACK, 1, new Array(1460).fill(3));
/** 1,400. */
const mtu = [0, 0, 0x05, 0x78];

/** The backend's link carries 1,400 bytes. */
export const NARROW = 1400;
export const narrowPackets: Fixture[] = [
  tx(
    "what does not fit the backend's link comes back as an ICMP error with the size that would",
    into(full),
    towardsClient(icmp({ source: vip, target: client, id: 0 }, 3, 4, mtu, full.slice(0, 68))),
  ),
  {
    name: "what does not fit there and may be fragmented is dropped by name",
    input: into(tcp(before, web, ACK, 1, new Array(1460).fill(3))),
    verdict: "drop",
    reason: "SLUICE_DROP_TOO_BIG",
  },
  {
    name: "an error that does not fit there is dropped by name: none is sent about errors",
    input: into(
      icmp(
        { source: router, target: vip, dontFragment: true },
        3,
        1,
        [0, 0, 0, 0],
        tcp(fromVip, shown, ACK, 1, new Array(1400).fill(3)),
      ),
    ),
    verdict: "drop",
    reason: "SLUICE_DROP_TOO_BIG",
  },
];

const wide = tcp(
  { source: real.address, target: "203.0.113.5", dontFragment: true },
  reply,
  ACK,
  1,
  new Array(1000).fill(3),
);
/** 203.0.113.0/24 is behind a way of 1,000 bytes, 203.0.114.0/24 behind a gateway that nobody knows. */
export const packetsOfOtherWays: Fixture[] = [
  tx(
    "a reply that does not fit its client's way comes back to the backend with the size that would",
    outOfReal(wide),
    frame(
      mac.director,
      mac.backend,
      icmp({ source: "125.12.12.12", target: real.address, id: 0 }, 3, 4, [0, 0, 0x03, 0xe8], wide.slice(0, 68)),
    ),
  ),
  {
    name: "a reply whose gateway has no known link address is dropped by name",
    input: outOfReal(tcp({ ...fromReal, target: "203.0.114.5" }, reply, ACK)),
    verdict: "drop",
    reason: "SLUICE_DROP_NO_NEIGHBOUR",
  },
];

export const vip6 = "2001:db8:12::77";
export const real6 = { address: "2001:db8:1::14", port: 8000 };
const client6 = "2001:db8:20::20";
const before6: Ip = { source: client6, target: vip6, ttl: 64 };
const after6: Ip = { source: client6, target: real6.address, ttl: 63 };
const fromReal6: Ip = { source: real6.address, target: client6, ttl: 64 };
const fromVip6: Ip = { source: vip6, target: client6, ttl: 63 };
const router6 = "2001:db8:99::1";
const whole6 = (ip: Ip, ports: typeof web): number[] => tcpSegment(ip, ports, ACK, 1, new Array(100).fill(9));
/** The first part of a packet, as far as an error quotes it: up to the ports, before the checksum. */
const part6 = (ip: Ip, ports: typeof web): number[] =>
  ipv6(ip, 44, fragment6(6, 7, 0, true, whole6(ip, ports).slice(0, 8)));
/** A packet with `bytes` of hop-by-hop options, as far as an error quotes it: up to the ports, before the checksum. */
const behind6 = (bytes: number, ip: Ip, ports: typeof web): number[] =>
  ipv6(ip, 0, options6(6, tcpSegment(ip, ports, ACK).slice(0, 8), bytes));
const dead6 = tcp({ ...before6, ttl: 1 }, web, SYN);

const full6 = tcp(before6, web, ACK, 1, new Array(1440).fill(3));
export const narrowPackets6: Fixture[] = [
  tx(
    "IPv6 that does not fit the backend's link comes back as packet too big",
    into(full6),
    towardsClient(icmp6({ source: vip6, target: client6 }, 2, 0, mtu, full6.slice(0, 1232))),
  ),
];

/** The same over IPv6. */
export const packets6: Fixture[] = [
  tx("a SYN over IPv6 is translated", into(tcp(before6, web, SYN)), towardsReal(tcp(after6, translated, SYN))),
  tx("so is a datagram", into(udp(before6, web, data)), towardsReal(udp(after6, translated, data))),
  tx(
    "extension headers do not hide the ports",
    into(ipv6(before6, 0, options6(6, tcpSegment(before6, web, ACK)))),
    towardsReal(ipv6(after6, 0, options6(6, tcpSegment(after6, translated, ACK)))),
  ),
  tx(
    "a first fragment over IPv6 is translated with its ports",
    into(ipv6(before6, 44, fragment6(6, 5, 0, true, whole6(before6, web).slice(0, 64)))),
    towardsReal(ipv6(after6, 44, fragment6(6, 5, 0, true, whole6(after6, translated).slice(0, 64)))),
  ),
  tx(
    "a later fragment over IPv6 gets the address alone",
    into(ipv6(before6, 44, fragment6(6, 5, 8, false, whole6(before6, web).slice(64)))),
    towardsReal(ipv6(after6, 44, fragment6(6, 5, 8, false, whole6(after6, translated).slice(64)))),
  ),
  tx(
    "an ICMPv6 error about a reply is translated outside and in its quote",
    into(icmp6({ source: router6, target: vip6, ttl: 64 }, 2, 0, [0, 0, 5, 0], tcp(fromVip6, shown, ACK).slice(0, 48))),
    towardsReal(
      icmp6(
        { source: router6, target: real6.address, ttl: 63 },
        2,
        0,
        [0, 0, 5, 0],
        tcp({ ...fromVip6, source: real6.address }, reply, ACK).slice(0, 48),
      ),
    ),
  ),
  tx(
    "so is one about the first part of a datagram: its ports stand behind the fragment header",
    into(icmp6({ source: router6, target: vip6, ttl: 64 }, 2, 0, [0, 0, 5, 0], part6(fromVip6, shown))),
    towardsReal(
      icmp6(
        { source: router6, target: real6.address, ttl: 63 },
        2,
        0,
        [0, 0, 5, 0],
        part6({ ...fromVip6, source: real6.address }, reply),
      ),
    ),
  ),
  ...[8, 24, 464].map((bytes) =>
    tx(
      `so is one that quotes ${bytes} bytes of options before the ports`,
      into(icmp6({ source: router6, target: vip6, ttl: 64 }, 2, 0, [0, 0, 5, 0], behind6(bytes, fromVip6, shown))),
      towardsReal(
        icmp6(
          { source: router6, target: real6.address, ttl: 63 },
          2,
          0,
          [0, 0, 5, 0],
          behind6(bytes, { ...fromVip6, source: real6.address }, reply),
        ),
      ),
    ),
  ),
  tx(
    "a reply over IPv6 leaves from the VIP",
    outOfReal(tcp(fromReal6, reply, ACK)),
    towardsClient(tcp(fromVip6, shown, ACK)),
  ),
  tx(
    "an ICMPv6 error of the backend comes from the VIP and speaks of the VIP",
    outOfReal(icmp6(fromReal6, 1, 4, [0, 0, 0, 0], tcp(after6, translated, ACK).slice(0, 48))),
    towardsClient(icmp6(fromVip6, 1, 4, [0, 0, 0, 0], tcp({ ...before6, ttl: 63 }, web, ACK).slice(0, 48))),
  ),
  ...[8, 464].map((bytes) =>
    tx(
      `so does one that quotes ${bytes} bytes of options before the ports`,
      outOfReal(icmp6(fromReal6, 1, 4, [0, 0, 0, 0], behind6(bytes, after6, translated))),
      towardsClient(icmp6(fromVip6, 1, 4, [0, 0, 0, 0], behind6(bytes, { ...before6, ttl: 63 }, web))),
    ),
  ),
  tx(
    "an ICMPv6 error of a router before the backend keeps the router's address and speaks of the VIP",
    outOfReal(
      icmp6(
        { source: "2001:db8:1::1", target: client6, ttl: 64 },
        3,
        0,
        [0, 0, 0, 0],
        tcp(after6, translated, ACK).slice(0, 48),
      ),
    ),
    towardsClient(
      icmp6(
        { source: "2001:db8:1::1", target: client6, ttl: 63 },
        3,
        0,
        [0, 0, 0, 0],
        tcp({ ...before6, ttl: 63 }, web, ACK).slice(0, 48),
      ),
    ),
  ),
  tx(
    "a checksum over IPv6 that becomes zero is written as all ones",
    into(udp(before6, web, vanishing(after6, translated))),
    towardsReal(udp(after6, translated, vanishing(after6, translated))),
  ),
  tx(
    "a packet over IPv6 at the end of its way is answered with time exceeded",
    into(dead6),
    towardsClient(icmp6({ source: vip6, target: client6 }, 3, 0, [0, 0, 0, 0], dead6.slice(0, 48))),
  ),
];
