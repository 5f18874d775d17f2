import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClientAddress } from "../../geo/prefix.ts";
import { nameToWire } from "../../protocols/dns/name.ts";
import { Type } from "../../protocols/dns/numbers.ts";
import { parseQuery, Query } from "../../protocols/dns/query.ts";
import { plainUdp } from "../../protocols/dns/respond.ts";
import { type Parsed, parseMessage } from "../../protocols/dns/testing.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "./testing.ts";
import { TRANSFER } from "./transfers.ts";

const services = [
  aService("shop"),
  aService("deep", { names: ["a.b.deep.example.com"] }),
  aService("star", { names: ["*.wild.example.com"] }),
  aService("signed", { names: ["shop.signed.test", "*.wild.signed.test"] }),
];
const snapshots = services.map((s) =>
  aSnapshot(s.name, [aBackend(0, "192.0.2.1"), aBackend(1, "192.0.2.2"), aBackend(2, "2001:db8::1")]),
);

const records = [
  "www CNAME shop",
  "old DNAME new",
  "a.new A 192.0.2.1",
  "sub NS ns.sub",
  "ns.sub A 192.0.2.2",
  "shop HTTPS 1 . alpn=h2 ipv4hint=auto",
  "round CNAME round2",
  "round2 CNAME round",
];
const zones = { "example.com": { records }, "signed.test": { records: records.slice(0, 6) } };
const secret = Buffer.from("sixteen octets!!");
const settings = (keys: string) => ({
  zones,
  dnssec: { keys, zones: ["signed.test"] },
  tsigKeys: { key: { secret: secret.toString("base64") } },
  transfers: { keys: ["key"] },
});

/** A query signed by the key that the server knows, now. */
function signed(query: Buffer): Buffer {
  const name = nameToWire("key")!;
  const algorithm = nameToWire("hmac-sha256")!;
  const now = Math.floor(Date.now() / 1000);
  const time = [0, 0, ...[24, 16, 8, 0].map((shift) => (now >>> shift) & 255), 1, 44];
  const variables = [...name, 0, 255, 0, 0, 0, 0, ...algorithm, ...time, 0, 0, 0, 0];
  const mac = createHmac("sha256", secret).update(query).update(Uint8Array.from(variables)).digest();
  const data = [...algorithm, ...time, 0, mac.length, ...mac, query[0]!, query[1]!, 0, 0, 0, 0];
  const bytes = Buffer.concat([query, Uint8Array.from([...name, 0, 250, 0, 255, 0, 0, 0, 0, 0, data.length, ...data])]);
  bytes[11]!++;
  return bytes;
}

/** What is mutated; made when a run begins, for signatures have a time. */
function seedsOf(): Buffer[] {
  const names = ["www", "a.old", "a.sub", "shop", "x.wild", "deep", "nobody", "round", "@"];
  const whole = ["example.com", "signed.test"].flatMap((zone) =>
    names.map((name) => (name === "@" ? zone : `${name}.${zone}`)),
  );
  const plain = [...whole, "example.org"].flatMap((name) =>
    ["A", "AAAA", "SOA", "ANY", "HTTPS", "DNSKEY"].flatMap((type) => [
      ask({ name, type }),
      ask({ name, type, edns: 1232, dnssecOk: true }),
    ]),
  );
  const more = ["example.com", "signed.test"].flatMap((name) => [
    signed(ask({ name, type: "AXFR" })),
    signed(ask({ name, type: "SOA", edns: 1232, dnssecOk: true })),
    signed(ask({ name: `shop.${name}` })),
    ask({ name, type: "AXFR" }),
    ask({ name, type: "IXFR" }),
  ]);
  return [...plain, ...Array(4).fill(more).flat()];
}

/** A mutated query: flipped bits, replaced, inserted and removed octets, cuts; now and then none. `random` decides all. */
function mutate(seeds: readonly Buffer[], random: () => number): Buffer {
  const from = (n: number): number => Math.floor(random() * n);
  let bytes = Buffer.from(seeds[from(seeds.length)]!);
  for (let i = from(7); i > 0; i--) {
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
  /** Of them: with signatures of zones, with TSIG, transfers. */
  sealed: number;
  keyed: number;
  transfers: number;
  /** The first messages (hex) whose answer breaks a rule, with the rule. */
  faults: string[];
}

/**
 * Sends `count` mutated queries through the whole answer path, over UDP and TCP in turn, and reads every answer whole:
 * response bit, id, operation, over UDP at most what the client takes and never more than 1,232 octets, no record of
 * DNSSEC without DO, nothing but silence for what is too short or itself a response. A throw is a fault too. One of the
 * two zones is signed; queries may be, too.
 */
export function fuzzDns(count: number, random: () => number): FuzzResult {
  const keys = mkdtempSync(join(tmpdir(), "sluice-fuzz-"));
  try {
    return fuzzWith(aServer(services, snapshots, settings(keys)), count, random);
  } finally {
    rmSync(keys, { recursive: true });
  }
}

const overTcp = { ...plainUdp, tcp: true };

/** Every second message comes over TCP. */
function fuzzWith(server: ReturnType<typeof aServer>, count: number, random: () => number): FuzzResult {
  const result: FuzzResult = {
    messages: count,
    answered: 0,
    rcodes: {},
    sealed: 0,
    keyed: 0,
    transfers: 0,
    faults: [],
  };
  const seeds = seedsOf();
  const out = Buffer.alloc(65_537);
  const client = new ClientAddress().read("192.0.2.9");
  for (let i = 0; i < count; i++) {
    const bytes = mutate(seeds, random);
    const tcp = i % 2 === 1;
    let fault: string | null = null;
    try {
      const length = tcp ? server.answerer.answer(bytes, bytes.length, client, overTcp, out) : 0;
      const parts =
        length === TRANSFER ? server.answerer.transfer! : [tcp ? out.subarray(0, length) : server.raw(bytes)];
      if (length === TRANSFER) result.transfers++;
      for (const part of parts) fault ??= faultOf(bytes, part, tcp, result);
    } catch (error) {
      fault = String(error);
    }
    if (fault !== null && result.faults.length < 10) result.faults.push(`${fault}: ${bytes.toString("hex")}`);
  }
  return result;
}

const query = new Query();
const sealing: readonly number[] = [Type.RRSIG, Type.NSEC];

function faultOf(bytes: Buffer, answer: Uint8Array, tcp: boolean, result: FuzzResult): string | null {
  const silent = bytes.length < 12 || (bytes[2]! & 0x80) !== 0;
  if (silent) return answer.length === 0 ? null : "an answer to what must not be answered";
  if (answer.length < 12) return "no answer (RFC 8906)";
  if (answer[0] !== bytes[0] || answer[1] !== bytes[1]) return "another id";
  if ((answer[2]! & 0xf8) !== ((bytes[2]! & 0x78) | 0x80)) return "another operation, or no response bit";
  if ((answer[3]! & 0xe0) !== 0) return "RA, Z or AD set";
  const message = parseMessage(answer);
  count(message, result);
  const verdict = parseQuery(query, bytes, bytes.length);
  const most = tcp ? 65_535 : query.edns && verdict === "query" ? Math.min(1232, Math.max(512, query.udpSize)) : 512;
  // A refused one may have been larger than what could be read of it.
  if (answer.length > (verdict === "query" ? most : Math.max(most, bytes.length)))
    return `an answer of ${answer.length} octets, of ${most}`;
  const shown = [...message.answers, ...message.authority].some(({ type }) => sealing.includes(type));
  if (shown && !query.dnssecOk && !sealing.includes(query.type)) return "records of DNSSEC without DO";
  return null;
}

function count({ rcode, answers, authority, additional }: Parsed, result: FuzzResult): void {
  result.answered++;
  result.rcodes[rcode] = (result.rcodes[rcode] ?? 0) + 1;
  if ([...answers, ...authority].some(({ type }) => type === Type.RRSIG)) result.sealed++;
  if (additional.some(({ type }) => type === Type.TSIG)) result.keyed++;
}
