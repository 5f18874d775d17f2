import { fromBytes16 } from "../core/address.ts";
import { macText } from "../system/net.ts";

/** A header of a packet that leaves, outermost first. */
export type LeavingHeader =
  | { header: "ethernet"; source: string; target: string; vlan: number | null }
  /** `hops`: TTL or hop limit. */
  | { header: "ipv4" | "ipv6"; source: string; target: string; hops: number }
  | { header: "tcp" | "udp"; sourcePort: number; targetPort: number }
  /** `others`: who else may have the flow (second chance). */
  | { header: "gue"; others: string[] };

const VLAN = 0x8100;
const IPV6 = 0x86dd;
const protocols: Record<number, "tcp" | "udp" | "ipv4" | "ipv6"> = { 4: "ipv4", 6: "tcp", 17: "udp", 41: "ipv6" };

function addressOf(bytes: Uint8Array): string {
  if (bytes.length === 16) return fromBytes16(bytes);
  return bytes.join(".");
}

/** Reads a frame that the plane has made: without options or extension headers. `tunnel`: UDP right outside is GUE's. */
export function headersOf(frame: Uint8Array, tunnel: boolean): LeavingHeader[] {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const tagged = view.getUint16(12) === VLAN;
  const vlan = tagged ? view.getUint16(14) & 0xfff : null;
  const [target, source] = [macText(frame.subarray(0, 6)), macText(frame.subarray(6, 12))];
  const found: LeavingHeader[] = [{ header: "ethernet", source, target, vlan }];
  const start = tagged ? 18 : 14;
  readIp(frame, view, start, view.getUint16(start - 2) === IPV6, tunnel, found);
  return found;
}

function readIp(
  frame: Uint8Array,
  view: DataView,
  at: number,
  six: boolean,
  tunnel: boolean,
  found: LeavingHeader[],
): void {
  const [sourceAt, size, end] = six ? [8, 16, 40] : [12, 4, 20];
  const address = (from: number): string => addressOf(frame.subarray(at + from, at + from + size));
  const [next, hops] = six ? [frame[at + 6]!, frame[at + 7]!] : [frame[at + 9]!, frame[at + 8]!];
  const [source, target] = [address(sourceAt), address(sourceAt + size)];
  found.push({ header: six ? "ipv6" : "ipv4", source, target, hops });
  const inner = protocols[next];
  const after = at + end;
  if (inner === "ipv4" || inner === "ipv6") readIp(frame, view, after, inner === "ipv6", false, found);
  if (inner !== "tcp" && inner !== "udp") return;
  found.push({ header: inner, sourcePort: view.getUint16(after), targetPort: view.getUint16(after + 2) });
  if (inner === "udp" && tunnel) readGue(frame, view, after + 8, size, found);
}

/** Variant 1: the packet follows at once. Variant 0: as many words as the first says, then the packet (bpf/wire.h). */
function readGue(frame: Uint8Array, view: DataView, at: number, size: number, found: LeavingHeader[]): void {
  const version = frame[at]! >> 4;
  const bare = version === 4 || version === 6;
  const count = bare ? 0 : frame[at + 7]!;
  const others = Array.from({ length: count }, (_, i) =>
    addressOf(frame.subarray(at + 8 + i * size).subarray(0, size)),
  );
  found.push({ header: "gue", others });
  const [after, six] = bare
    ? [at, version === 6]
    : [at + 4 + 4 * (frame[at]! & 31), protocols[frame[at + 1]!] === "ipv6"];
  readIp(frame, view, after, six, false, found);
}

/** One header in words. */
function headerText(one: LeavingHeader): string {
  if (one.header === "ethernet") return `${one.source} > ${one.target}${one.vlan === null ? "" : `, VLAN ${one.vlan}`}`;
  if (one.header === "gue") return one.others.length > 0 ? `GUE that also names ${one.others.join(", ")}` : "GUE";
  if ("sourcePort" in one) return `${one.header.toUpperCase()} ${one.sourcePort} > ${one.targetPort}`;
  const name = one.header === "ipv4" ? "IPv4" : "IPv6";
  return `${name} ${one.source} > ${one.target}, ${one.header === "ipv4" ? "TTL" : "hop limit"} ${one.hops}`;
}

/** The headers in words, outermost first. */
export const headersText = (headers: readonly LeavingHeader[]): string => headers.map(headerText).join(" | ");
