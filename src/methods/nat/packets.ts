import type { Fixture } from "../../dataplane/testing/fixtures.ts";
import { mac } from "../../dataplane/testing/fixtures.ts";
import { ACK, frame, type Ip, icmp, ipv4, SYN, tcp, tcpSegment, udp } from "../../dataplane/testing/frames.ts";

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
  {
    name: "a packet at the end of its way is dropped by name",
    input: into(tcp({ ...before, ttl: 1 }, web, SYN)),
    verdict: "drop",
    reason: "SLUICE_DROP_TTL",
  },
  tx(
    "a reply of the backend leaves from the VIP, by the client's gateway",
    outOfReal(tcp(fromReal, reply, SYN | ACK)),
    towardsClient(tcp(fromVip, shown, SYN | ACK)),
  ),
  tx("so does a datagram of it", outOfReal(udp(fromReal, reply, data)), towardsClient(udp(fromVip, shown, data))),
  {
    name: "what the backend begins from another port passes",
    input: outOfReal(tcp(fromReal, { sourcePort: 40_000, targetPort: 443 }, SYN)),
    verdict: "pass",
  },
  {
    name: "a reply to the director itself passes",
    input: outOfReal(
      tcp({ source: real.address, target: "125.12.12.12" }, { sourcePort: real.port, targetPort: 33_000 }, ACK),
    ),
    verdict: "pass",
  },
];
