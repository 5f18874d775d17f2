import { fromBytes16, isIPv6, toBytes16 } from "../core/address.ts";
import { ok, type Result, refuse } from "../core/problem.ts";
import type { Protocol } from "../core/service.ts";
import { errnoText } from "../runtime/libc.ts";
import { hostProblem } from "./host-command.ts";
import { NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, openNetlink } from "./netlink.ts";

/** <linux/netlink.h>, <linux/netfilter/nfnetlink.h>, <linux/netfilter/nfnetlink_conntrack.h> */
const NETLINK_NETFILTER = 12;
const CT_GET = 0x101;
const CT_DELETE = 0x102;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_STATUS = 3;
const CTA_FILTER = 25;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_PROTO_NUM = 1;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_REPLY_FLAGS = 2;
/** Bits of a filter's flags: which fields of its tuple have to match. */
const MATCH_IP_SRC = 1;
const NESTED = 0x8000;
const IPS_ASSURED = 4;
const AF_INET = 2;
const AF_INET6 = 10;
const protocolNumber: Record<Protocol, number> = { tcp: 6, udp: 17 };

/** Flows of one pair, as conntrack knows them: what the client asked for, and who answers. */
export interface TranslatedFlows {
  protocol: Protocol;
  vip: string;
  backend: string;
  /** Is a flow with these two ports, the one asked for and the one that answers, among them? */
  ports(asked: number, answering: number): boolean;
}

/** One attribute: length, type, value, padding to 4 bytes. */
function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array((4 + value.length + 3) & ~3);
  new DataView(bytes.buffer).setUint16(0, 4 + value.length, true);
  new DataView(bytes.buffer).setUint16(2, type, true);
  bytes.set(value, 4);
  return bytes;
}

const joined = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const nested = (type: number, ...parts: Uint8Array[]): Uint8Array => attribute(type | NESTED, joined(...parts));
const u32 = (value: number): Uint8Array => new Uint8Array(new Uint32Array([value]).buffer);

function message(type: number, flags: number, family: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(20 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags | NLM_F_REQUEST, true);
  bytes[16] = family;
  bytes.set(body, 20);
  return bytes;
}

/** The value of the attribute `type` in a run of attributes; null when it is absent. */
function find(bytes: Uint8Array, type: number): Uint8Array | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = view.getUint16(at, true);
    if (length < 4) return null;
    if ((view.getUint16(at + 2, true) & 0x3fff) === type) return bytes.subarray(at + 4, at + length);
    at += (length + 3) & ~3;
  }
  return null;
}

interface Tuple {
  source: string;
  target: string;
  protocol: number;
  sourcePort: number;
  targetPort: number;
}

function readTuple(bytes: Uint8Array | null): Tuple | null {
  const ip = bytes && find(bytes, CTA_TUPLE_IP);
  const proto = bytes && find(bytes, CTA_TUPLE_PROTO);
  if (!ip || !proto) return null;
  const address = (v4: number, v6: number): string => {
    const short = find(ip, v4);
    if (short) return short.join(".");
    const long = find(ip, v6);
    return long ? fromBytes16(long) : "";
  };
  const number = find(proto, CTA_PROTO_NUM)?.[0] ?? 0;
  const port = (type: number): number => {
    const value = find(proto, type);
    return value ? (value[0]! << 8) | value[1]! : 0;
  };
  return { source: address(1, 3), target: address(2, 4), protocol: number, sourcePort: port(2), targetPort: port(3) };
}

/** Asks only for flows whose answers come from `address`: with a million flows, the kernel looks, not we. */
function dumpRequest(address: string): Uint8Array {
  const v6 = isIPv6(address);
  const source = v6 ? attribute(3, toBytes16(address)) : attribute(1, toBytes16(address).subarray(12));
  const body = joined(
    nested(CTA_TUPLE_REPLY, nested(CTA_TUPLE_IP, source)),
    nested(CTA_FILTER, attribute(CTA_FILTER_ORIG_FLAGS, u32(0)), attribute(CTA_FILTER_REPLY_FLAGS, u32(MATCH_IP_SRC))),
  );
  return message(CT_GET, NLM_F_DUMP, v6 ? AF_INET6 : AF_INET, body);
}

/**
 * Makes conntrack forget flows, so that their next packet is a new flow and gets another backend. `unanswered`: only
 * those that were never confirmed in both directions (a TCP handshake under way); `all`: every one. Returns how many.
 * Errors: SLUICE_NFT.
 */
export function forgetFlows(flows: TranslatedFlows, which: "all" | "unanswered"): Result<number> {
  const conntrack = openNetlink(NETLINK_NETFILTER);
  try {
    const { failed, payloads } = conntrack.list(dumpRequest(flows.backend));
    if (failed !== 0) return refuse(hostProblem("SLUICE_NFT", `conntrack cannot be read: ${errnoText(failed)}`));
    const found = payloads.flatMap((payload) => {
      const attributes = payload.subarray(4);
      const original = find(attributes, CTA_TUPLE_ORIG);
      const asked = readTuple(original);
      const answer = readTuple(find(attributes, CTA_TUPLE_REPLY));
      if (!original || !asked || !answer || !belongs(flows, asked, answer)) return [];
      const status = find(attributes, CTA_STATUS);
      // Network order: the flags are in the last byte.
      const assured = ((status?.[3] ?? 0) & IPS_ASSURED) !== 0;
      return which === "all" || !assured ? [original] : [];
    });
    const family = isIPv6(flows.vip) ? AF_INET6 : AF_INET;
    let forgotten = 0;
    for (const tuple of found) {
      const request = message(CT_DELETE, NLM_F_ACK, family, nested(CTA_TUPLE_ORIG, tuple));
      // One that has just ended by itself is not there any more: that is as good.
      if (conntrack.ask(request, () => {}) === 0) forgotten++;
    }
    return ok(forgotten);
  } finally {
    conntrack.close();
  }
}

const belongs = ({ protocol, vip, backend, ports }: TranslatedFlows, asked: Tuple, answer: Tuple): boolean =>
  asked.protocol === protocolNumber[protocol] &&
  asked.target === vip &&
  answer.source === backend &&
  ports(asked.targetPort, answer.sourcePort);
