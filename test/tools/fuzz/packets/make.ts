/** Frames for the balancer: what clients, backends and routers send, what strangers send, and all of it damaged. */
import { below, oneOf, type Random } from "../target.ts";
import { complete, headerResidue, residue } from "./sums.ts";
import {
  addressKey,
  BACKEND_PORT,
  director4,
  director6,
  directorMac,
  gatewayMac,
  PORT,
  type World,
  worlds,
} from "./world.ts";

const clients4 = ["202.20.20.20", "202.20.20.21", "198.51.100.7"];
const clients6 = ["2001:db8:20::20", "2001:db8:20::21", "2001:db8:99::7"];
const MACS = [directorMac, "020000000099", "ffffffffffff", "01005e000001"];

const bytes = (random: Random, size: number): Buffer =>
  Buffer.from(Array.from({ length: size }, () => below(random, 256)));
const often = (random: Random, share: number): boolean => random() < share;

interface Ends {
  source: string;
  target: string;
  sourcePort: number;
  targetPort: number;
}

const port16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);

/** A TCP segment or datagram without its checksum, and where that stands. */
function transport(random: Random, protocol: number, ends: Ends): { body: Buffer; at: number } {
  const data = bytes(random, oneOf(random, [0, 0, 1, 5, 64, 200, 1400, 1440, 1480]));
  const ports = Buffer.concat([port16(ends.sourcePort), port16(ends.targetPort)]);
  if (protocol === 17) return { body: Buffer.concat([ports, port16(8 + data.length), port16(0), data]), at: 6 };
  const head = Buffer.concat([ports, bytes(random, 8), Buffer.from([0x50, oneOf(random, [2, 16, 24, 17, 4, 0x12])])]);
  return { body: Buffer.concat([head, port16(64240), port16(0), port16(0), data]), at: 16 };
}

/** An IPv4 header around it; `protocol` and the part of a datagram as told. */
function ipv4(random: Random, ends: Ends, protocol: number, body: Buffer, fragment: number): Buffer {
  const options = often(random, 0.15) ? bytes(random, 4 * below(random, 11)) : Buffer.alloc(0);
  const ip = Buffer.concat([Buffer.alloc(12), Buffer.from(ends.source + ends.target, "hex"), options, body]);
  const header = 20 + options.length;
  ip[0] = 0x40 | (header / 4);
  ip[1] = often(random, 0.1) ? below(random, 256) : 0;
  ip.writeUInt16BE(ip.length, 2);
  ip.writeUInt16BE(below(random, 8), 4);
  ip.writeUInt16BE(fragment | (often(random, 0.5) ? 0x4000 : 0), 6);
  ip[8] = oneOf(random, [64, 64, 64, 255, 2, 1, 0]);
  ip[9] = protocol;
  complete(ip, 10, headerResidue(ip));
  return ip;
}

/** Headers that are stepped over, and others that hide what follows. */
const chains = [0, 43, 60];
const hiding = [51, 59, 135];

function ipv6(random: Random, ends: Ends, protocol: number, body: Buffer, fragment: number | null): Buffer {
  let [next, inside] = [protocol, body];
  if (fragment !== null || often(random, 0.03)) {
    const head = Buffer.from([next, 0, (fragment ?? 0) >> 8, (fragment ?? 0) & 0xff, 0, 0, 0, below(random, 8)]);
    [next, inside] = [44, Buffer.concat([head, inside])];
  }
  for (let i = often(random, 0.15) ? 1 + below(random, 6) : 0; i > 0; i--) {
    const words = oneOf(random, [0, 0, 1, 2, 30]);
    const head = Buffer.concat([Buffer.from([next, words]), Buffer.alloc(6 + 8 * words)]);
    [next, inside] = [oneOf(random, often(random, 0.1) ? hiding : chains), Buffer.concat([head, inside])];
  }
  const head = Buffer.alloc(8);
  head.writeUInt32BE((0x60000000 | (below(random, 256) << 20) | below(random, 0x100000)) >>> 0, 0);
  head.writeUInt16BE(inside.length, 4);
  head[6] = next;
  head[7] = oneOf(random, [64, 64, 64, 255, 2, 1, 0]);
  return Buffer.concat([head, Buffer.from(ends.source + ends.target, "hex"), inside]);
}

/** TCP, UDP or another protocol between these ends, whole or a part. */
function packetOf(random: Random, ends: Ends): Buffer {
  const protocol = oneOf(random, [6, 6, 6, 17, 17, often(random, 0.2) ? below(random, 256) : 6]);
  const { body, at } = transport(random, protocol === 17 ? 17 : 6, ends);
  const six = ends.source.length === 32;
  const addresses = Buffer.from(ends.source + ends.target, "hex");
  if (!(protocol === 17 && often(random, 0.2))) complete(body, at, residue(addresses, protocol, body.length, body));
  const part = oneOf(random, ["whole", "whole", "whole", "whole", "first", "later"]);
  const units = 1 + below(random, 4);
  const cut =
    part === "first" ? body.subarray(0, 8 * units + 16) : part === "later" ? body.subarray(0, 8 * units) : body;
  const place = part === "later" ? units : 0;
  const more = part === "first" || (part === "later" && often(random, 0.5));
  if (six) return ipv6(random, ends, protocol, cut, part === "whole" ? null : (place << 3) | (more ? 1 : 0));
  return ipv4(random, ends, protocol, cut, place | (more ? 0x2000 : 0));
}

/** An ICMP message from `from`: mostly an error about `about`. */
function messageOf(random: Random, from: string, to: string, about: Buffer): Buffer {
  const six = from.length === 32;
  const type = oneOf(random, six ? [1, 2, 3, 4, 128, 135, 0, 5] : [3, 11, 12, 8, 0, 5, 4]);
  const quote = about.subarray(0, oneOf(random, [28, 48, 56, 68, 128, 1232]));
  const body = Buffer.concat([Buffer.from([type, below(random, 6), 0, 0]), bytes(random, 4), quote]);
  const ends: Ends = { source: from, target: to, sourcePort: 0, targetPort: 0 };
  complete(body, 2, six ? residue(Buffer.from(from + to, "hex"), 58, body.length, body) : residue(body));
  return six ? ipv6(random, ends, 58, body, null) : ipv4(random, ends, 1, body, 0);
}

const key = (text: string): string => addressKey(text);
const clientOf = (random: Random, world: World): string => key(oneOf(random, world.ipv6 ? clients6 : clients4));
const clientPort = (random: Random): number => 1024 + below(random, 8);
const toVip = (random: Random, world: World): Ends => ({
  source: clientOf(random, world),
  target: key(world.vip),
  sourcePort: clientPort(random),
  targetPort: often(random, 0.95) ? PORT : below(random, 65_536),
});
const turned = ({ source, target, sourcePort, targetPort }: Ends): Ends => ({
  source: target,
  target: source,
  sourcePort: targetPort,
  targetPort: sourcePort,
});
/** What a backend behind nat answers; now and then to the director itself or to a host that nobody knows. */
function fromBackend(random: Random, world: World): Ends {
  const others = world.ipv6
    ? [director6, "2001:db8:12::ee"]
    : [director4, "125.12.12.238", "127.0.0.1", "125.12.12.255"];
  return {
    source: key(oneOf(random, world.backends)),
    target: often(random, 0.9) ? clientOf(random, world) : key(oneOf(random, others)),
    sourcePort: often(random, 0.95) ? BACKEND_PORT : PORT,
    targetPort: clientPort(random),
  };
}

function packet(random: Random): Buffer {
  const world = oneOf(random, worlds);
  const router = key(world.ipv6 ? "2001:db8:77::1" : "198.51.100.1");
  const back = worlds.filter(({ method }) => method === "nat")[below(random, 2)]!;
  switch (below(random, 10)) {
    case 0:
    case 1: {
      // An error about a reply, from a router, the client, or to somebody else than who sent it.
      const ends = turned(toVip(random, world));
      const to = often(random, 0.95) ? ends.source : key(world.ipv6 ? director6 : director4);
      return messageOf(random, oneOf(random, [router, ends.target]), to, packetOf(random, ends));
    }
    case 2:
    case 3:
      return packetOf(random, fromBackend(random, back));
    case 4: {
      const reply = fromBackend(random, back);
      const from = oneOf(random, [reply.source, key(back.ipv6 ? "2001:db8:77::1" : "198.51.100.1")]);
      return messageOf(random, from, reply.target, packetOf(random, turned(reply)));
    }
    case 5: {
      const inner = packetOf(random, toVip(random, world));
      const ends = { ...toVip(random, world), source: router };
      const protocol = inner[0]! >> 4 === 6 ? 41 : 4;
      return world.ipv6 ? ipv6(random, ends, protocol, inner, null) : ipv4(random, ends, protocol, inner, 0);
    }
    default:
      return packetOf(random, toVip(random, world));
  }
}

/** Bytes that were overwritten anywhere in the headers, or lengths that lie. */
function damaged(random: Random, frame: Buffer): Buffer {
  const out = Buffer.from(frame);
  for (let i = 1 + below(random, 3); i > 0; i--) {
    // Of the addresses only the ends: whoever is reached by another route is not in the model.
    const at = 12 + below(random, Math.min(out.length - 12, 110));
    out[at] = oneOf(random, [0, 1, 0xff, out[at]! ^ (1 << below(random, 8)), below(random, 256)]);
  }
  return out;
}

const BARE = 14;

/** One frame. The Ethernet header is always there: less is no frame. */
export function makeFrame(random: Random): Buffer {
  const ip = packet(random);
  const type = ip[0]! >> 4 === 6 ? 0x86dd : 0x0800;
  const tags = often(random, 0.1) ? 1 + below(random, 2) : 0;
  const tag = Array.from({ length: tags }, () => Buffer.concat([port16(0x8100), bytes(random, 2)]));
  const macs = Buffer.from((often(random, 0.97) ? directorMac : oneOf(random, MACS)) + gatewayMac, "hex");
  const padding = often(random, 0.2) ? bytes(random, below(random, 30)) : Buffer.alloc(0);
  const kind = often(random, 0.98) ? type : oneOf(random, [0x0806, 0x86dd, 0x0800, 0x88cc, 0x88a8]);
  let frame: Buffer = Buffer.concat([macs, ...tag, port16(kind), ip, padding]);
  if (often(random, 0.1)) frame = frame.subarray(0, BARE + below(random, Math.min(frame.length - BARE, 120) + 1));
  if (often(random, 0.2)) frame = damaged(random, frame);
  return frame;
}
