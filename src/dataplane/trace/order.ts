import { clearHostBits, type Prefix } from "../../geo/prefix.ts";
import { Limit, TraceTerm, traceOrder, traceTerm } from "../generated/layout.ts";
import type { Filter, Term } from "./filter.ts";

/** Which packets are wanted, and how much of them. */
export interface Watch {
  filter: Filter;
  /** Most records in a tick (1.07 s); what is beyond is only counted. */
  rate: number;
  /** Bytes kept of each frame. */
  bytes: number;
}

const kinds: Record<Term["kind"], number> = {
  protocol: TraceTerm.TRACE_PROTOCOL,
  source: TraceTerm.TRACE_SOURCE,
  target: TraceTerm.TRACE_TARGET,
  host: TraceTerm.TRACE_HOST,
  "source-port": TraceTerm.TRACE_SOURCE_PORT,
  "target-port": TraceTerm.TRACE_TARGET_PORT,
  port: TraceTerm.TRACE_PORT,
  service: TraceTerm.TRACE_SERVICE,
  verdict: TraceTerm.TRACE_VERDICT,
  reason: TraceTerm.TRACE_REASON,
  error: TraceTerm.TRACE_ERROR,
};

/** Bits of the first 12 bytes of an IPv4-mapped address. */
const MAPPED_BITS = 96;

/** A network as the program compares it: 16 bytes, and which bits of them count. */
function wide({ bytes, length }: Prefix): { address: Uint8Array; mask: Uint8Array } {
  const address = new Uint8Array(16);
  address.set(bytes, 16 - bytes.length);
  if (bytes.length === 4) address.set([0xff, 0xff], 10);
  const bits = bytes.length === 4 ? MAPPED_BITS + length : length;
  return { address, mask: clearHostBits(new Uint8Array(16).fill(0xff), bits) };
}

function writeTerm(view: DataView, term: Term, last: boolean, numberOf: (service: string) => number): void {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, traceTerm.size);
  bytes[traceTerm.kind] = kinds[term.kind];
  bytes[traceTerm.negated] = term.negated ? 1 : 0;
  bytes[traceTerm.last] = last ? 1 : 0;
  if ("prefix" in term) {
    const { address, mask } = wide(term.prefix);
    bytes.set(address, traceTerm.address);
    bytes.set(mask, traceTerm.mask);
  } else if ("port" in term) view.setUint16(traceTerm.value, term.port);
  else if (term.kind === "protocol") view.setUint16(traceTerm.value, term.protocol, true);
  else if (term.kind === "verdict") view.setUint16(traceTerm.value, term.verdict, true);
  else if (term.kind === "reason") view.setUint16(traceTerm.value, term.reason, true);
  else if (term.kind === "service") view.setUint16(traceTerm.value, numberOf(term.service), true);
}

/** An order as the program reads it (`struct trace_order`), without its time. `numberOf`: a service's number. */
export function encodeOrder(watch: Watch, owner: number, numberOf: (service: string) => number): Uint8Array {
  const order = new Uint8Array(traceOrder.size);
  const view = new DataView(order.buffer);
  view.setUint32(traceOrder.owner, owner, true);
  view.setUint32(traceOrder.rate, watch.rate, true);
  view.setUint32(traceOrder.bytes, Math.min(watch.bytes, Limit.TRACE_BYTES), true);
  const terms = watch.filter.flatMap((clause) => clause.map((term, i) => ({ term, last: i === clause.length - 1 })));
  view.setUint32(traceOrder.terms, terms.length, true);
  terms.forEach(({ term, last }, i) => {
    writeTerm(new DataView(order.buffer, traceOrder.term + i * traceTerm.size), term, last, numberOf);
  });
  return order;
}
