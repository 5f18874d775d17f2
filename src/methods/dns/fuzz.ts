import { aBackend, aServer, aService, aSnapshot, ask } from "./testing.ts";

const services = [
  aService("shop"),
  aService("deep", { names: ["a.b.deep.example.com"] }),
  aService("star", { names: ["*.wild.example.com"] }),
];
const snapshots = services.map((s) =>
  aSnapshot(s.name, [aBackend(0, "192.0.2.1"), aBackend(1, "192.0.2.2"), aBackend(2, "2001:db8::1")]),
);

const records = ["www CNAME shop", "old DNAME new", "a.new A 192.0.2.1", "sub NS ns.sub", "ns.sub A 192.0.2.2"];

const seeds = [
  "www.example.com",
  "a.old.example.com",
  "a.sub.example.com",
  "shop.example.com",
  "x.wild.example.com",
  "deep.example.com",
  "nobody.example.com",
  "example.org",
].flatMap((name) =>
  ["A", "AAAA", "SOA", "ANY"].flatMap((type) => [ask({ name, type }), ask({ name, type, edns: 1232, dnssecOk: true })]),
);

/** A mutated query: flipped bits, replaced, inserted and removed octets, cuts. `random` decides all. */
function mutate(random: () => number): Buffer {
  const from = (n: number): number => Math.floor(random() * n);
  let bytes = Buffer.from(seeds[from(seeds.length)]!);
  for (let i = from(6); i >= 0; i--) {
    const at = from(bytes.length + 1);
    const kind = from(6);
    if (kind === 0) bytes = bytes.subarray(0, at);
    else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([from(256)]), bytes.subarray(at)]);
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + from(4))]);
    else if (at < bytes.length) {
      bytes = Buffer.from(bytes);
      if (kind === 3) bytes[at]! ^= 1 << from(8);
      else bytes[at] = [0, 0xc0, 0xff, 63, 64, from(256)][from(6)]!;
    }
  }
  return bytes;
}

export interface FuzzResult {
  messages: number;
  answered: number;
  /** Answers by RCODE. */
  rcodes: Record<number, number>;
  /** The first messages (hex) whose answer breaks a rule, with the rule. */
  faults: string[];
}

/**
 * Sends `count` mutated queries through the whole answer path and looks at every answer: response bit, id, operation, at
 * most 1,232 octets, nothing but silence for what is too short or itself a response. A throw is a fault too.
 */
export function fuzzDns(count: number, random: () => number): FuzzResult {
  const server = aServer(services, snapshots, { zones: { "example.com": { records } } });
  const result: FuzzResult = { messages: count, answered: 0, rcodes: {}, faults: [] };
  for (let i = 0; i < count; i++) {
    const bytes = mutate(random);
    let fault: string | null = null;
    try {
      const answer = server.raw(bytes);
      fault = faultOf(bytes, answer);
      if (answer.length > 0) {
        result.answered++;
        const rcode = answer[3]! & 15;
        result.rcodes[rcode] = (result.rcodes[rcode] ?? 0) + 1;
      }
    } catch (error) {
      fault = String(error);
    }
    if (fault !== null && result.faults.length < 10) result.faults.push(`${fault}: ${bytes.toString("hex")}`);
  }
  return result;
}

function faultOf(query: Buffer, answer: Buffer): string | null {
  const silent = query.length < 12 || (query[2]! & 0x80) !== 0;
  if (silent) return answer.length === 0 ? null : "an answer to what must not be answered";
  if (answer.length < 12) return "no answer (RFC 8906)";
  if (answer.length > 1232) return `an answer of ${answer.length} octets`;
  if (answer[0] !== query[0] || answer[1] !== query[1]) return "another id";
  if ((answer[2]! & 0xf8) !== ((query[2]! & 0x78) | 0x80)) return "another operation, or no response bit";
  if ((answer[3]! & 0xe0) !== 0) return "RA, Z or AD set";
  return null;
}
