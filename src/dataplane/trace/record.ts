import { fromBytes16 } from "../../core/address.ts";
import type { Code } from "../../core/codes.ts";
import { traceRecord as at, Limit, Place } from "../generated/layout.ts";
import { reasonCode, verdictWords } from "./filter.ts";

/** A packet that a program has seen, and what it did with it. Addresses as the flow's client sees them. */
export interface TraceRecord {
  /** ns of the host's monotonic clock. */
  time: bigint;
  place: "guard" | "dns" | "balance" | "decap" | "chain";
  /** Index of the interface it came in by. */
  device: number;
  verdict: keyof typeof verdictWords;
  reason: Code | null;
  protocol: number;
  source: string;
  target: string;
  /** 0 of a later fragment: it has none. */
  sourcePort: number;
  targetPort: number;
  tcpFlags: number;
  /** An ICMP error about this flow. */
  error: boolean;
  part: "whole" | "first" | "later";
  /** Number of the service; null where none has it. */
  service: number | null;
  /** Number of the backend in the plane. */
  backend: number | null;
  /** The frame as it came, and as it left when a program of ours sent it on; `bytes` are its first ones. */
  came: { length: number; bytes: Uint8Array };
  left: { length: number; bytes: Uint8Array } | null;
}

const places = Object.fromEntries(
  Object.entries(Place).map(([name, number]) => [number, name.slice("PLACE_".length).toLowerCase()]),
);
const parts = ["whole", "first", "later"] as const;
const verdicts = Object.fromEntries(Object.entries(verdictWords).map(([word, number]) => [number, word]));
const known = (number: number): number | null => (number === Limit.TRACE_NOBODY ? null : number);

/** `struct trace_record`; the bytes are copied. */
export function decodeRecord(bytes: Uint8Array): TraceRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const frame = (offset: number, kept: number, length: number) => ({
    length: view.getUint32(length, true),
    bytes: bytes.slice(offset, offset + view.getUint16(kept, true)),
  });
  const left = frame(at.out, at.outBytes, at.outLength);
  return {
    time: view.getBigUint64(at.time, true),
    place: places[bytes[at.place]!] as TraceRecord["place"],
    device: view.getUint32(at.ifindex, true),
    verdict: verdicts[bytes[at.verdict]!] as TraceRecord["verdict"],
    reason: reasonCode(bytes[at.reason]!),
    protocol: bytes[at.protocol]!,
    source: fromBytes16(bytes.subarray(at.source)),
    target: fromBytes16(bytes.subarray(at.target)),
    sourcePort: view.getUint16(at.sourcePort),
    targetPort: view.getUint16(at.targetPort),
    tcpFlags: bytes[at.tcpFlags]!,
    error: bytes[at.icmpError] === 1,
    part: parts[bytes[at.part]!] ?? "whole",
    service: known(view.getUint16(at.service, true)),
    backend: known(view.getUint32(at.backend, true)),
    came: frame(at.in, at.inBytes, at.inLength),
    left: left.length > 0 ? left : null,
  };
}
