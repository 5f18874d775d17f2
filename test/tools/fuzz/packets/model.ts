/**
 * The rules of forwarding as a plain specification, of settled slots: what may become of a frame. Written from the
 * documents and the RFCs; it does not know how a backend is chosen, only that a flow keeps its own.
 */
import { answer } from "./answers.ts";
import { type Packet, read, TCP, UDP } from "./read.ts";
import { addressKey, byBackend, byVip, director4, director6, MTU, PORT, type World } from "./world.ts";

/** `frame`: what leaves, with the sums of headers that were rewritten left to `judge`. */
export type Expected =
  | { verdict: "pass" }
  | { verdict: "drop"; service: string; reason: string }
  | { verdict: "answer"; frame: Buffer }
  | { verdict: "forward"; packet: Packet; world: World; flow: string }
  | { verdict: "return"; packet: Packet; vip: string; backend: string; ports: boolean };

type Remembered =
  | { kind: "pass" }
  | { kind: "forward"; world: World; flow: string }
  | { kind: "return"; backend: string };

const pass: Expected = { verdict: "pass" };
const OUTER = { 4: 20, 16: 40 } as const;
const GUE = 8;
const own = new Set([addressKey(director4), addressKey(director6)]);

/** Loopback and broadcast, multicast and the routers' anycast address of a network (RFC 4291, 2.6.1): not forwarded. */
const special4 = /^(7f|7d0c0cff$)/;
const special6 = /^(ff|20010db8001200000000000000000000$)/;
const neighbours = /^(7d0c0c..$|20010db800120000)/;
const gateways = new Set([addressKey("125.12.12.1"), addressKey("2001:db8:12::1")]);

/** What the director's routes say of whoever a reply is for. */
function routeTo(target: string): "gateway" | "own" | "unknown neighbour" {
  if (own.has(target) || (target.length === 8 ? special4 : special6).test(target)) return "own";
  return neighbours.test(target) && !gateways.has(target) ? "unknown neighbour" : "gateway";
}

export class Model {
  readonly #fragments = new Map<string, Remembered>();

  /** `frame` came in from the outside; its destination MAC is `forUs` or somebody else's. */
  expect(frame: Buffer, forUs: boolean): Expected {
    const packet = forUs ? read(frame) : null;
    if (!packet) return pass;
    if (packet.part === "later") return this.#later(packet);
    const { flowSource, flowTarget, flowPort, flowSourcePort, protocol } = flowOf(packet);
    const world = byVip.get(flowTarget);
    const flow = `${flowSource} ${flowSourcePort} ${flowTarget} ${flowPort} ${protocol}`;
    if (world && flowPort === PORT) {
      if (packet.cut) return { verdict: "drop", service: world.name, reason: "SLUICE_DROP_MALFORMED" };
      if (world.dark) return { verdict: "drop", service: world.name, reason: "SLUICE_DROP_NO_BACKEND" };
      this.#remember(packet, { kind: "forward", world, flow });
      return forward(packet, world, flow);
    }
    return this.#other(packet, flowSource, flowSourcePort);
  }

  #remember(packet: Packet, what: Remembered): void {
    if (packet.part === "first") this.#fragments.set(packet.datagram, what);
  }

  #later(packet: Packet): Expected {
    const first = this.#fragments.get(packet.datagram);
    if (first?.kind === "forward") return forward(packet, first.world, first.flow);
    if (first?.kind === "return") return giveBack(packet, first.backend);
    const world = byVip.get(packet.target);
    const ours = packet.protocol === TCP || packet.protocol === UDP;
    if (first || !world || !ours) return pass;
    return { verdict: "drop", service: world.name, reason: "SLUICE_DROP_FRAGMENT" };
  }

  /** A reply of a backend behind nat, or an error about what it was sent; or nothing of ours. */
  #other(packet: Packet, source: string, port: number): Expected {
    const found = byBackend.get(source);
    if (!found || found.world.backendPort !== port) {
      this.#remember(packet, { kind: "pass" });
      return pass;
    }
    if (packet.cut) return { verdict: "drop", service: found.world.name, reason: "SLUICE_DROP_MALFORMED" };
    const outcome = giveBack(packet, source);
    if (outcome.verdict === "return" || outcome.verdict === "answer")
      this.#remember(packet, { kind: "return", backend: source });
    return outcome;
  }
}

/** Whose packet it is: of an error the flow that it is about, as its client sees it. */
function flowOf(packet: Packet) {
  const { quote, ports } = packet;
  if (!quote)
    return {
      flowSource: packet.source,
      flowTarget: packet.target,
      flowSourcePort: ports!.source,
      flowPort: ports!.target,
      protocol: packet.protocol,
    };
  return {
    flowSource: quote.target,
    flowTarget: quote.source,
    flowSourcePort: ports!.target,
    flowPort: ports!.source,
    protocol: quote.protocol,
  };
}

function forward(packet: Packet, world: World, flow: string): Expected {
  const onward: Expected = { verdict: "forward", packet, world, flow };
  const drop = (reason: string): Expected => ({ verdict: "drop", service: world.name, reason });
  // What came by the link that it leaves by, which is untagged, fits there.
  const vlan = packet.tag.length > 0 ? packet.tag.readUInt16BE(2) & 0xfff : 0;
  if (world.method === "direct" && vlan === 0) return onward;
  const outer = OUTER[world.backends[0]!.includes(":") ? 16 : 4] + (world.gue ? GUE : 0);
  const room = MTU - (world.method === "tunnel" ? outer : 0);
  if (packet.length > room) {
    const told = packet.quote || packet.mayFragment ? null : answer(packet, packet.target, "too big", room);
    return told ? { verdict: "answer", frame: told } : drop("SLUICE_DROP_TOO_BIG");
  }
  if (world.method === "nat" && packet.ttl <= 1) {
    const told = packet.quote || packet.part === "later" ? null : answer(packet, packet.target, "expired", 0);
    return told ? { verdict: "answer", frame: told } : drop("SLUICE_DROP_TTL");
  }
  return onward;
}

function giveBack(packet: Packet, backend: string): Expected {
  const { world } = byBackend.get(backend)!;
  const us = addressKey(packet.ipv6 ? director6 : director4);
  const drop = (reason: string): Expected => ({ verdict: "drop", service: world.name, reason });
  const route = routeTo(packet.target);
  if (route === "own") return pass;
  if (packet.length > MTU) {
    const told = packet.quote || packet.mayFragment ? null : answer(packet, us, "too big", MTU);
    return told ? { verdict: "answer", frame: told } : drop("SLUICE_DROP_TOO_BIG");
  }
  if (route === "unknown neighbour") return drop("SLUICE_DROP_NO_NEIGHBOUR");
  if (packet.ttl <= 1) {
    const told = packet.quote || packet.part === "later" ? null : answer(packet, us, "expired", 0);
    return told ? { verdict: "answer", frame: told } : drop("SLUICE_DROP_TTL");
  }
  return { verdict: "return", packet, vip: addressKey(world.vip), backend, ports: packet.part !== "later" };
}
