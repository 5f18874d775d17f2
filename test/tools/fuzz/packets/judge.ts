/** Holds what the program did against what the rules allow. */
import { Fault } from "../target.ts";
import type { Expected } from "./model.ts";
import { type Packet, UDP } from "./read.ts";
import { bodyResidue, headerResidue } from "./sums.ts";
import {
  addressKey,
  director4,
  director6,
  directorMac,
  GUE_PORT,
  gatewayMac,
  macOf,
  PORT,
  type World,
} from "./world.ts";

export interface Done {
  verdict: string;
  output: Buffer;
}

const must = (holds: boolean, rule: string): void => {
  if (!holds) throw new Fault(rule);
};
const same = (found: Buffer, wanted: Buffer, what: string): void =>
  must(found.equals(wanted), `${what}: ${found.toString("hex")} is not ${wanted.toString("hex")}`);

const FIRST_DYNAMIC_PORT = 49152;

export class Judge {
  /** What each flow has shown: its backend, and what spreads it in a tunnel. */
  readonly #backends = new Map<string, string>();
  readonly #spread = new Map<string, number>();

  judge(input: Buffer, expected: Expected, { verdict, output }: Done): string {
    must(verdict !== "aborted", "aborted");
    if (expected.verdict === "pass" || expected.verdict === "drop") {
      must(verdict === expected.verdict, `${verdict} instead of ${describe(expected)}`);
      if (verdict === "pass") same(output, input, "passed, but changed");
      return describe(expected);
    }
    must(verdict === "tx", `${verdict} instead of ${describe(expected)}`);
    if (expected.verdict === "answer") same(output, expected.frame, "the answer");
    else if (expected.verdict === "return") this.#returned(expected, output);
    else this.#forwarded(expected.packet, expected.world, expected.flow, output);
    return describe(expected);
  }

  #forwarded(packet: Packet, world: World, flow: string, output: Buffer): void {
    const backend = world.backends.find((address) => macOf(address) === output.toString("hex", 0, 6));
    must(backend !== undefined, "sent to nobody's MAC");
    const known = this.#backends.get(flow) ?? backend!;
    must(known === backend, "a flow has changed its backend");
    this.#backends.set(flow, known);
    same(output.subarray(6, 12), Buffer.from(directorMac, "hex"), "source MAC");
    const type = output.readUInt16BE(12);
    const ip = output.subarray(14);
    if (world.method === "tunnel") {
      this.#wrapped(packet, world, flow, backend!, type, ip);
      return;
    }
    must(type === (packet.ipv6 ? 0x86dd : 0x0800), "type of the frame");
    if (world.method === "direct") {
      same(ip, packet.ip, "direct has changed the packet");
      return;
    }
    translated(
      packet,
      ip,
      { old: packet.quote ? packet.quote.source : packet.target, fresh: addressKey(backend!) },
      "target",
      world.backendPort,
    );
  }

  #wrapped(packet: Packet, world: World, flow: string, backend: string, type: number, ip: Buffer): void {
    const six = backend.includes(":");
    must(type === (six ? 0x86dd : 0x0800), "type of the outer frame");
    const grow = (six ? 40 : 20) + (world.gue ? 8 : 0);
    const length = packet.length + grow;
    const protocol = world.gue ? UDP : packet.ipv6 ? 41 : 4;
    const addresses = addressKey(six ? director6 : director4) + addressKey(backend);
    const wanted = Buffer.concat([Buffer.alloc(six ? 8 : 12), Buffer.from(addresses, "hex")]);
    let mark = 0;
    if (six) {
      mark = ip.readUInt32BE(0) & 0xfffff;
      wanted.writeUInt32BE((0x60000000 | (packet.tos << 20) | mark) >>> 0, 0);
      wanted.writeUInt16BE(length - 40, 4);
      wanted[6] = protocol;
      wanted[7] = 64;
    } else {
      wanted[0] = 0x45;
      wanted[1] = packet.tos;
      wanted.writeUInt16BE(length, 2);
      // An identification matters only to what may be fragmented.
      wanted.writeUInt16BE(packet.mayFragment ? ip.readUInt16BE(4) : 0, 4);
      wanted.writeUInt16BE(packet.mayFragment ? 0 : 0x4000, 6);
      wanted[8] = 64;
      wanted[9] = protocol;
      wanted.writeUInt16BE(ip.readUInt16BE(10), 10);
      must(headerResidue(ip) === 0 && ip.readUInt16BE(10) !== 0xffff, "the outer header's checksum");
    }
    same(ip.subarray(0, wanted.length), wanted, "the outer header");
    if (world.gue) {
      const udp = ip.subarray(wanted.length, wanted.length + 8);
      mark = udp.readUInt16BE(0);
      must(mark >= FIRST_DYNAMIC_PORT, "GUE from a port that is not dynamic");
      const rest = Buffer.alloc(6);
      rest.writeUInt16BE(GUE_PORT, 0);
      rest.writeUInt16BE(packet.length + 8, 2);
      same(udp.subarray(2), rest, "the UDP header of GUE");
    }
    // Later fragments do not name their flow, so they may be spread otherwise.
    if (packet.part !== "later") {
      must((this.#spread.get(flow) ?? mark) === mark, "a flow is spread over two ways");
      this.#spread.set(flow, mark);
    }
    same(ip.subarray(grow), packet.ip, "the packet inside");
  }

  #returned({ packet, vip, backend, ports }: Extract<Expected, { verdict: "return" }>, output: Buffer): void {
    same(output.subarray(0, 12), Buffer.from(gatewayMac + directorMac, "hex"), "MACs towards the client");
    must(output.readUInt16BE(12) === (packet.ipv6 ? 0x86dd : 0x0800), "type of the frame");
    translated(packet, output.subarray(14), { old: backend, fresh: vip }, "source", ports ? PORT : null);
  }
}

/**
 * `ip` must be the packet with one end of its flow renamed and a hop less, and every checksum as right, or as wrong, as
 * it was. Of an error the quote names the flow the other way round; its outer address is renamed only where it is that end.
 */
function translated(
  packet: Packet,
  ip: Buffer,
  { old, fresh }: { old: string; fresh: string },
  end: "source" | "target",
  port: number | null,
): void {
  const wanted = Buffer.from(packet.ip);
  const [first, size] = packet.ipv6 ? [8, 16] : [12, 4];
  const at = end === "source" ? first : first + size;
  if (wanted.toString("hex", at, at + size) === old) wanted.write(fresh, at, "hex");
  wanted[packet.ipv6 ? 7 : 8]!--;
  const sums: number[] = packet.ipv6 ? [] : [10];
  const { quote } = packet;
  if (quote) {
    const other = quote.at + (end === "source" ? first + size : first);
    wanted.write(fresh, other, "hex");
    wanted.writeUInt16BE(port!, quote.at + quote.header + (end === "source" ? 2 : 0));
    sums.push(packet.header + 2);
    if (!packet.ipv6) sums.push(quote.at + 10);
  } else if (packet.part !== "later") {
    wanted.writeUInt16BE(port!, packet.header + (end === "source" ? 0 : 2));
    sums.push(packet.header + (packet.protocol === UDP ? 6 : 16));
  }
  const before = packet.ip;
  for (const sum of sums) wanted.writeUInt16BE(ip.readUInt16BE(sum), sum);
  same(ip, wanted, "the translated packet");
  if (!packet.ipv6) must(headerResidue(ip) === headerResidue(before), "the header's checksum");
  if (quote && !packet.ipv6)
    must(
      headerResidue(ip.subarray(quote.at)) === headerResidue(before.subarray(quote.at)),
      "the quote's header checksum",
    );
  if (packet.part === "later") return;
  if (packet.protocol === UDP && before.readUInt16BE(packet.header + 6) === 0) {
    must(ip.readUInt16BE(packet.header + 6) === 0, "a datagram without a checksum has got one");
    return;
  }
  if (packet.protocol === UDP) must(ip.readUInt16BE(packet.header + 6) !== 0, "a datagram has lost its checksum");
  const sumOf = (bytes: Buffer): number => bodyResidue(bytes, packet.header, packet.length, packet.protocol);
  must(sumOf(ip) === sumOf(before), "the transport's checksum");
}

/** Errors by what stands before the ports that they quote: a header alone, or options and extensions too. */
function kindOf({ quote, ipv6, protocol }: Packet): string {
  if (!quote) return `${protocol}`;
  return quote.header > (ipv6 ? 40 : 20) ? "error about options" : "error";
}

export function describe(expected: Expected): string {
  if (expected.verdict === "drop") return `drop ${expected.service} ${expected.reason}`;
  if (expected.verdict === "forward") {
    const { packet, world } = expected;
    return `${world.name} ${packet.part} ${kindOf(packet)}`;
  }
  if (expected.verdict === "return") return `return ${expected.packet.part} ${kindOf(expected.packet)}`;
  return expected.verdict;
}
