import type { IpPacket } from "../ip-packet.ts";
import type { Packet } from "../packet.ts";

/** A frame as it was captured on the cable of one host. */
export interface Sighting {
  host: string;
  network: string;
  packet: Packet;
}

/** One frame on its way from one host to the next, as captured. */
export interface Hop {
  /** ms since 1970. */
  at: number;
  network: string;
  /** Hosts by their MACs; `?` for a MAC that is none of the lab's. */
  from: string;
  to: string;
  sourceMac: string;
  destinationMac: string;
  ip: IpPacket;
}

/** The packet that the two ends speak in: the inner one of a tunnel. */
const spoken = (ip: IpPacket): IpPacket => ip.inner ?? ip;

const payloadOf = (ip: IpPacket): Uint8Array => spoken(ip).tcp?.payload ?? spoken(ip).udp?.payload ?? new Uint8Array();

const textOf = (ip: IpPacket): string => Buffer.from(payloadOf(ip)).toString("latin1");

/** Both directions of a connection have the same key. */
function flowOf(ip: IpPacket): string {
  const { protocol, source, destination, tcp, udp } = spoken(ip);
  const ports = tcp ?? udp;
  return [`${source}:${ports?.sourcePort}`, `${destination}:${ports?.destinationPort}`].sort().join(` ${protocol} `);
}

const isDns = (ip: IpPacket): boolean => {
  const udp = spoken(ip).udp;
  return udp !== undefined && (udp.sourcePort === 53 || udp.destinationPort === 53);
};

/**
 * The frames of all sightings, each once, by time. A frame is seen at both ends of its way, and by a switch that does
 * not know its address yet at every port. `owners` maps MACs to hosts.
 */
export function toHops(sightings: readonly Sighting[], owners: ReadonlyMap<string, string>): Hop[] {
  const hops = new Map<string, Hop>();
  for (const { network, packet } of sightings) {
    if (!packet.ip) continue;
    const key = `${network} ${Buffer.from(packet.bytes).toString("latin1")}`;
    const known = hops.get(key);
    if (known) {
      known.at = Math.min(known.at, packet.at);
      continue;
    }
    const { at, sourceMac, destinationMac, ip } = packet;
    const [from, to] = [owners.get(sourceMac) ?? "?", owners.get(destinationMac) ?? "?"];
    hops.set(key, { at, network, from, to, sourceMac, destinationMac, ip });
  }
  return [...hops.values()].sort((a, b) => a.at - b.at);
}

/**
 * The hops of the connections that carry `marker` (a word in the request's path) at any place on their way, whole
 * from the first SYN to the last FIN, and all DNS. Health checks, which carry it nowhere, fall out.
 */
export function hopsOf(hops: readonly Hop[], marker: string): Hop[] {
  const flows = new Set(hops.filter(({ ip }) => textOf(ip).includes(marker)).map(({ ip }) => flowOf(ip)));
  return hops.filter(({ ip }) => isDns(ip) || flows.has(flowOf(ip)));
}

/** What a frame says to the one who waits: `GET /x`, `HTTP/1.1 302 Found`, `DNS query`; null for the rest (ACK, FIN …). */
export function message({ ip }: Pick<Hop, "ip">): string | null {
  if (isDns(ip)) return `DNS ${isAnswer(ip) ? "answer" : "query"}`;
  const first = textOf(ip).split("\r\n", 1)[0]!;
  if (/^[A-Z]+ \S+ HTTP\/1\.[01]$/.test(first)) return first.replace(/ HTTP\/1\.[01]$/, "");
  return /^HTTP\/1\.[01] \d{3}/.test(first) ? first : null;
}

/** The QR bit (RFC 1035 4.1.1). */
const isAnswer = (ip: IpPacket): boolean => ((payloadOf(ip)[2] ?? 0) & 0x80) !== 0;

const has = (ip: IpPacket, flag: "SYN" | "ACK"): boolean => spoken(ip).tcp?.flags.includes(flag) ?? false;

/** What the client waits for with this frame; null when it waits for nothing. */
function asks(hop: Hop): string | null {
  if (isDns(hop.ip)) return "DNS lookup";
  if (has(hop.ip, "SYN")) return "TCP handshake";
  return payloadOf(hop.ip).length > 0 ? "HTTP request" : null;
}

const answers = (hop: Hop): boolean =>
  isDns(hop.ip) || (has(hop.ip, "SYN") && has(hop.ip, "ACK")) || payloadOf(hop.ip).length > 0;

/**
 * The exchanges that the client waited for until the response was there, in order, by its own cable alone: each is
 * one round trip. Questions that are under way at the same time (A and AAAA) are one.
 */
export function exchanges(hops: readonly Hop[], client: string): string[] {
  const found: string[] = [];
  let waiting: string | null = null;
  for (const hop of hops) {
    if (hop.from === client) waiting = asks(hop) ?? waiting;
    else if (hop.to === client && waiting !== null && answers(hop)) {
      const status = /^HTTP\/1\.[01] (3\d\d)/.exec(textOf(hop.ip))?.[1];
      found.push(status ? `HTTP redirect (${status})` : waiting);
      waiting = null;
    }
  }
  return found;
}

/** Frames that reached or left `host`; a packet that comes in and goes out again counts twice, as on its counters. */
export const framesAt = (hops: readonly Hop[], host: string): number =>
  hops.filter((hop) => hop.from === host || hop.to === host).length;

/** Did the response itself (status 200) pass `host`? */
export const responsePassed = (hops: readonly Hop[], host: string): boolean =>
  hops.some((hop) => (hop.from === host || hop.to === host) && /^HTTP\/1\.[01] 200/.test(textOf(hop.ip)));

function endpoints(ip: IpPacket): string {
  const ports = ip.tcp ?? ip.udp;
  const end = (address: string, port: number | undefined) => (port === undefined ? address : `${address}:${port}`);
  const line = `${end(ip.source, ports?.sourcePort)} > ${end(ip.destination, ports?.destinationPort)}`;
  return ip.inner ? `${line} [ ${endpoints(ip.inner)} ]` : line;
}

/** One line for a person: who to whom, addresses, TCP flags. */
export function hopText({ from, to, ip }: Hop): string {
  const flags = spoken(ip).tcp?.flags;
  return `${from} -> ${to} ${endpoints(ip)}${flags ? ` ${flags.join(",")}` : ""}`;
}

/** A hop as plain data, for the report. */
export interface HopView {
  from: string;
  to: string;
  network: string;
  sourceMac: string;
  destinationMac: string;
  /** Addresses and ports; the inner packet of a tunnel in brackets. */
  addresses: string;
  message: string;
}

/** The hops that say something, in order: what a person calls the path of the request. */
export const pathOf = (hops: readonly Hop[]): HopView[] =>
  hops.flatMap((hop) => {
    const said = message(hop);
    const { from, to, network, sourceMac, destinationMac } = hop;
    return said === null
      ? []
      : [{ from, to, network, sourceMac, destinationMac, addresses: endpoints(hop.ip), message: said }];
  });
