import type { Code } from "../../core/codes.ts";
import type { TraceRecord } from "./record.ts";

/** What the numbers in a record mean on this host. */
export interface Names {
  device(index: number): string;
  service(number: number): string;
  backend(number: number): string;
  /** ns since 1970 of a time on the monotonic clock. */
  wall(time: bigint): bigint;
}

/** One packet as a person or a program reads it. */
export interface TracedPacket {
  schema: "sluice.trace/v1";
  /** ISO 8601, microseconds. */
  at: string;
  place: TraceRecord["place"];
  device: string;
  verdict: TraceRecord["verdict"];
  reason: Code | null;
  protocol: string;
  source: string;
  target: string;
  /** `SYN`, `ACK` … of a TCP packet. */
  flags: string[];
  /** An ICMP error about this flow. */
  error: boolean;
  fragment: boolean;
  service: string | null;
  backend: string | null;
  /** Bytes of the frame as it came, and as it left by our hand. */
  came: number;
  left: number | null;
}

const protocolNames: Record<number, string> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6" };
const flagNames = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"] as const;

const endText = (address: string, port: number): string =>
  port === 0 ? address : `${address.includes(":") ? `[${address}]` : address}:${port}`;

/** `2026-01-31T10:00:00.123456Z` of ns since 1970. */
function timeText(ns: bigint): string {
  const whole = new Date(Number(ns / 1_000_000n)).toISOString();
  return `${whole.slice(0, -1)}${String((ns / 1000n) % 1000n).padStart(3, "0")}Z`;
}

/** Pure given the names. */
export function toTraced(record: TraceRecord, names: Names): TracedPacket {
  const { service, backend, left } = record;
  return {
    schema: "sluice.trace/v1",
    at: timeText(names.wall(record.time)),
    place: record.place,
    device: names.device(record.device),
    verdict: record.verdict,
    reason: record.reason,
    protocol: protocolNames[record.protocol] ?? String(record.protocol),
    source: endText(record.source, record.sourcePort),
    target: endText(record.target, record.targetPort),
    flags: flagNames.filter((_, bit) => (record.tcpFlags >> bit) & 1),
    error: record.error,
    fragment: record.part !== "whole",
    service: service === null ? null : names.service(service),
    backend: backend === null ? null : names.backend(backend),
    came: record.came.length,
    left: left?.length ?? null,
  };
}

/** One line. */
export function tracedText(packet: TracedPacket): string {
  const { flags, reason, service, backend, left, came } = packet;
  const what = [packet.protocol, ...(packet.error ? ["error about"] : []), ...(packet.fragment ? ["fragment"] : [])];
  const end = [
    packet.verdict,
    ...(reason ? [reason] : []),
    ...(service ? [`service ${service}`] : []),
    ...(backend ? [`backend ${backend}`] : []),
    left === null ? `${came} bytes` : `${came} -> ${left} bytes`,
  ];
  const tcp = flags.length > 0 ? ` ${flags.join(",")}` : "";
  return `${packet.at} ${packet.place} ${packet.device}  ${what.join(" ")} ${packet.source} > ${packet.target}${tcp}  ${end.join(", ")}`;
}
