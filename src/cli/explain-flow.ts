import { parseEndpoint } from "../core/address.ts";
import { listenerName, type Protocol } from "../core/service.ts";
import { Explainer, type FlowAnswer } from "../dataplane/explain.ts";
import { headersText } from "../dataplane/leaving.ts";
import { instancePaths } from "../system/instance.ts";
import { nothingInKernel } from "./daemon-client.ts";

/** A flow as the command line names it. */
export interface FlowWords {
  from: string;
  to: string;
  instance: string;
  /** A QUIC connection ID, as hexadecimal digits. */
  quicId?: string;
}

/** `ADDRESS:PORT` or `ADDRESS:PORT/udp`; null for anything else. */
function endpointOf(words: string): { address: string; port: number; protocol: Protocol } | null {
  const protocol = words.endsWith("/udp") ? "udp" : "tcp";
  const endpoint = parseEndpoint(words.replace(/\/(udp|tcp)$/, ""));
  return endpoint && endpoint.port !== null ? { address: endpoint.address, port: endpoint.port, protocol } : null;
}

const name = ({ address, port }: { address: string; port: number }, protocol: Protocol): string =>
  listenerName({ address, port, protocol });

/** Lines before that of the backend. */
const FACTS = 3;

/** What becomes of the flow's packets, a fact a line. */
function linesOf(answer: FlowAnswer, begins: boolean): string[] {
  const { service, method, slot, phase, cell, backend, named } = answer;
  const remembered = named
    ? "its connection ID names the backend: the slot has no say"
    : cell
      ? `the flow is remembered${cell.tentative ? ", tentative" : ""}${cell.closed ? ", closed" : ""}`
      : "the flow is not remembered: the slot decides";
  const end = backend
    ? `${begins ? "a first packet" : "a packet of a connection under way"} goes to ${backend.address}:${backend.port} (${backend.state})`
    : "nobody may have it: it is dropped";
  return [`service ${service}, method ${method}`, `slot ${slot}, ${phase}`, remembered, end, ...leavingLines(answer)];
}

/** How the packet looks when it leaves. */
function leavingLines({ backend, leaving }: FlowAnswer): string[] {
  if (backend === null) return [];
  if (leaving === null) return ["the way there is not known: it is asked for when a packet comes"];
  return [`it leaves by ${leaving.device ?? "a device that is gone"}: ${headersText(leaving.headers)}`];
}

/**
 * Asks the kernel's own rules, on the tables in force, what becomes of a flow; needs no daemon and changes nothing.
 * Returns the words to print, or the sentence that says why there is no answer; ends the process where nothing can be asked.
 */
export function explainFlow({ from, to, instance, quicId }: FlowWords): { lines: string[]; answers: unknown } | string {
  const target = endpointOf(to);
  const client = endpointOf(from);
  if (!client) return `"${from}" is not a client's ADDRESS:PORT`;
  if (!target) return `"${to}" is not ADDRESS:PORT or ADDRESS:PORT/udp`;
  if (client.address.includes(":") !== target.address.includes(":"))
    return `${from} and ${to} are of two families: no packet goes from one to the other`;
  if (quicId !== undefined && !/^([0-9a-f]{2}){1,20}$/i.test(quicId))
    return `"${quicId}" is no connection ID: 1 to 20 octets as hexadecimal digits`;
  if (quicId !== undefined && target.protocol !== "udp") return "QUIC runs over UDP: say --to VIP:PORT/udp";
  const id = quicId === undefined ? {} : { connectionId: Uint8Array.from(Buffer.from(quicId, "hex")) };
  const explainer = Explainer.open(instancePaths(instance).bpfDir);
  if (!explainer) nothingInKernel(instance);
  try {
    const ask = (begins: boolean) =>
      explainer.ask({ from: client, to: target, protocol: target.protocol, begins, ...id });
    const [first, later] = [ask(true), ask(false)];
    if (!first || !later) return `${name(target, target.protocol)} is no VIP of instance "${instance}"`;
    const lines = linesOf(first, true);
    // What a packet of a connection under way has otherwise: the end of the list, from its backend on.
    const more = linesOf(later, false).slice(FACTS);
    const same = JSON.stringify(first.backend) === JSON.stringify(later.backend) && more.at(-1) === lines.at(-1);
    return { lines: same ? lines : [...lines, ...more], answers: { first, later } };
  } finally {
    explainer.close();
  }
}
