/**
 * Many clients at once, over UDP and TCP, signed and not, while health, the serial and keys change: every answer is read
 * and held against what it may be, which is written down here by hand. `STRESS_SECONDS` makes it longer than a moment.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createPublicKey, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Serving } from "../../core/method.ts";
import { keyTag, verifySet } from "../../protocols/dns/dnssec/rrsig.ts";
import { foldOctet, nameToWire } from "../../protocols/dns/name.ts";
import { HEADER, Rcode, Type } from "../../protocols/dns/numbers.ts";
import { type Parsed, type ParsedSet, parseMessage } from "../../protocols/dns/testing.ts";
import { answerHolds, type SignedMessage, signMessage } from "../../protocols/dns/tsig-client.ts";
import { connectTcp } from "../../runtime/dial.ts";
import { bindUdp } from "../../runtime/udp.ts";
import { Keeper } from "./dnssec/keeper.ts";
import { makeKey, withKeys } from "./dnssec/key-file.ts";
import { begin } from "./dnssec/key-states.ts";
import { asked, backends, services, table } from "./stress-testing.ts";
import { aSnapshot, ask, assignmentOn, type FakeDoors, fakeDoors, someSettings } from "./testing.ts";
import { workerSide } from "./worker.ts";
import { signedRecords } from "./zone-testing.ts";

const SECONDS = Number(process.env.STRESS_SECONDS ?? 2);
const DAY = 86_400;
const folder = mkdtempSync(join(tmpdir(), "sluice-stress-"));
const PORT = 20_000 + ((process.pid + 7919) % 20_000);
const secret = Buffer.alloc(32, 5);
const tsig = { name: nameToWire("peer.example")!, algorithm: "hmac-sha256" as const, secret: Uint8Array.from(secret) };
const settings = someSettings({
  zones: { "example.com": { records: [...signedRecords] }, "example.net": { records: ["mail A 192.0.2.77"] } },
  tsigKeys: { "peer.example": { secret: secret.toString("base64") } },
  dnssec: { zones: ["example.com"], keys: folder, dnskeyTtl: "1m", propagation: "0s", signatures: 100_000 },
  tcp: { perClient: 64 },
});

const { CNAME, DNAME, NS, RRSIG } = Type;

/** Public keys of the signed zone by tag, all there ever were. */
const keys = new Map<number, KeyObject>();
const below = (n: number): number => Math.floor(Math.random() * n);

interface Query {
  key: string;
  bytes: Buffer;
  sent: Uint8Array;
  dnssecOk: boolean;
  compact: boolean;
  signed: SignedMessage | null;
}

function aQuery(id: number): Query {
  const key = asked[below(asked.length)]!;
  const [name, type] = key.split(" ") as [string, string];
  const edns = below(3) > 0;
  const dnssecOk = edns && below(3) > 0;
  const cased = name.replace(/[a-z]/g, (letter) => (below(2) ? letter.toUpperCase() : letter));
  const bytes = ask({ name: cased, type, id, ...(edns ? { edns: [512, 1232, 4096][below(3)]! } : {}), dnssecOk });
  const compact = dnssecOk && below(2) === 0;
  if (compact) bytes[bytes.length - 4]! |= 0x40;
  const signed = below(8) === 0 ? signMessage(bytes, tsig, Math.floor(Date.now() / 1000)) : null;
  return { key, bytes, sent: signed?.bytes ?? bytes, dnssecOk, compact, signed };
}

const typesOf = (sets: readonly ParsedSet[]): number[] => sets.filter((s) => s.type !== RRSIG).map((s) => s.type);

/** Sets of a section whose signature is not there or does not hold. */
function unsealed(sets: readonly ParsedSet[]): string[] {
  return sets.flatMap((set) => {
    // What a DNAME makes, and what is not this zone's, has none.
    const made = set.type === CNAME && sets.some((s) => s.type === DNAME);
    if (set.type === RRSIG || made || (set.type === NS && set.owner !== "example.com")) return [];
    const held = sets
      .filter((s) => s.type === RRSIG && s.owner === set.owner)
      .flatMap((s) => s.rdata)
      .filter((rdata) => ((rdata[0]! << 8) | rdata[1]!) === set.type)
      .some((rdata) => {
        const key = keys.get((rdata[16]! << 8) | rdata[17]!);
        const owned = { ...set, owner: nameToWire(set.owner)! };
        return key !== undefined && verifySet(owned, rdata, nameToWire("example.com")!, key);
      });
    return held ? [] : [`${set.owner} ${set.type}`];
  });
}

let truncated = 0;

/** What is wrong with an answer; null: nothing. */
function fault(query: Query, answer: Buffer, tcp: boolean): string | null {
  const end = HEADER + nameToWire(query.key.split(" ")[0]!)!.length + 4;
  // Names lead into the question and take its case; signatures are over lower case (RFC 4034 6.2).
  const lower = Buffer.from(answer);
  lower.set(answer.subarray(HEADER, end).map(foldOctet), HEADER);
  let message: Parsed;
  try {
    message = parseMessage(lower);
  } catch (error) {
    return (error as Error).message;
  }
  if (!answer.subarray(HEADER, end).equals(query.bytes.subarray(HEADER, end))) return "another question";
  if ((answer[2]! & 0xf9) !== 0x81 || (answer[3]! & 0xf0) !== 0) return "wrong flags";
  if (query.signed && !answerHolds(answer, query.signed, tsig, Math.floor(Date.now() / 1000))) return "TSIG";
  const { answers, authority } = message;
  if (message.truncated) {
    truncated++;
    return tcp ? "truncated over TCP" : answers.length + authority.length > 0 ? "records beside TC" : null;
  }
  const expected = table[query.key]!;
  const sealed = query.dnssecOk && /example\.com/.test(query.key);
  const { rcode } = expected;
  if (message.rcode !== (sealed && rcode === Rcode.NXDOMAIN && !query.compact ? 0 : rcode))
    return `rcode ${message.rcode}`;
  if (typesOf(answers).join() !== expected.answers.join()) return `answers ${typesOf(answers)}`;
  const wanted = sealed ? expected.signed : expected.authority;
  if (typesOf(authority).join() !== wanted.join()) return `authority ${typesOf(authority)}`;
  if (!sealed && [...answers, ...authority].some(({ type }) => type === RRSIG)) return "signed unasked";
  const { may } = expected;
  const last = answers.filter(({ type }) => type !== RRSIG).at(-1);
  if (may && last) {
    const given = last.rdata.map((octets) => Buffer.from(octets).toString("hex"));
    if (given.some((hex) => !may.any.includes(hex)) || new Set(given).size < given.length) return `records ${given}`;
    if (given.length < may.least || given.length > may.most) return `${given.length} records`;
    if (last.ttl !== may.ttl) return `TTL ${last.ttl}`;
  }
  const bare = sealed ? [...unsealed(answers), ...unsealed(authority)] : [];
  return bare.length > 0 ? `no good signature: ${bare}` : null;
}

let doors: FakeDoors;
let serving: Serving;
const keeper = new Keeper(() => time);
let time = Math.floor(Date.now() / 1000);

/** The keys as they are now; learns the public ones. */
function secrets() {
  const kept = keeper.keep(services, settings, () => {});
  if (!kept.ok || kept.value === null) throw new Error("no keys");
  for (const hex of kept.value.zones[0]!.sets.find(({ type }) => type === Type.DNSKEY)!.rdata) {
    const rdata = Buffer.from(hex, "hex");
    const [x, y] = [rdata.subarray(4, 36), rdata.subarray(36)].map((part) => part.toString("base64url"));
    keys.set(keyTag(rdata), createPublicKey({ key: { kty: "EC", crv: "P-256", x: x!, y: y! }, format: "jwk" }));
  }
  return kept.value;
}

const generation = services.map(() => 1);
let changes = 0;

/** Some backends fail and come back; at least one of each kind and group stays. */
function changeHealth(): void {
  const i = below(services.length);
  const { name } = services[i]!;
  const next = backends[i]!.map((b, k) => ({
    ...b,
    state: k % 10 > 1 && k % 5 > 1 && below(3) === 0 ? ("down" as const) : b.state,
  }));
  const revision = 1 + Math.floor(changes++ / 50);
  doors.balancer(name).update({ ...aSnapshot(name, next, ++generation[i]!), revision });
  serving.changed!(name);
}

let rolls = 0;

/** One step of a rollover: a new key, or the time that makes the next one sign and the old one go. */
function changeKeys(): void {
  if (rolls++ % 3 === 0) withKeys(folder, "example.com", (all) => begin(all, "zsk", time, makeKey).keys);
  else time += DAY;
  serving.secrets?.(secrets());
}

beforeAll(async () => {
  const snapshots = services.map(({ name }, i) => aSnapshot(name, backends[i]!));
  doors = fakeDoors(services, snapshots);
  const more = { settings: { dns: settings }, secrets: { dns: secrets() } };
  serving = await workerSide.serve(assignmentOn(PORT, services, snapshots, more), doors);
});
afterAll(async () => {
  await serving.drain(100);
  rmSync(folder, { recursive: true });
});

const faults: string[] = [];
let judged = 0;
let until = 0;

/** Has the time passed, and was all tried that is to be? */
const over = (): boolean =>
  faults.length > 0 || (performance.now() > until && judged > 1000 && truncated > 0 && changes > 50 && rolls > 6);

function judge(query: Query, answer: Buffer, tcp: boolean): void {
  judged++;
  if (judged % 20 === 0) changeHealth();
  if (judged % 500 === 0) changeKeys();
  const wrong = fault(query, answer, tcp);
  if (wrong !== null && faults.length < 20)
    faults.push(`${query.key}${query.dnssecOk ? " DO" : ""}${tcp ? " TCP" : ""}: ${wrong}: ${answer.toString("hex")}`);
}

/** A client over UDP with so many questions under way. */
async function udpClient(most: number): Promise<void> {
  const open = new Map<number, Query>();
  let id = below(65_536);
  let heard = 0;
  const socket = await bindUdp("127.0.0.1", 0, (_socket, answer) => {
    const query = open.get(answer.readUInt16BE(0));
    heard++;
    if (query === undefined) {
      faults.push("an answer to nothing");
      return;
    }
    open.delete(answer.readUInt16BE(0));
    judge(query, answer, false);
    send();
  });
  const send = (): void => {
    if (over()) return;
    id = (id + 1) & 0xffff;
    const query = aQuery(id);
    open.set(id, query);
    socket.send(query.sent, PORT, "127.0.0.1");
  };
  for (let i = 0; i < most; i++) send();
  for (let before = -1; !over() || heard !== before; ) {
    before = heard;
    await Bun.sleep(300);
    // Lost, where a buffer was full; what is only late is judged all the same.
    if (heard === before) for (let i = 0; i < most; i++) send();
  }
  socket.close();
}

/** A client over TCP that sends its questions many at once, in pieces that cut messages. */
function tcpClient(most: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let waiting: Query[] = [];
  let input = Buffer.alloc(0);
  let rest = Buffer.alloc(0);
  type Socket = Parameters<NonNullable<Parameters<typeof connectTcp<null>>[1]["open"]>>[0];
  const write = (socket: Socket): void => {
    while (rest.length > 0) {
      const piece = rest.subarray(0, 1 + below(rest.length));
      const taken = Math.max(0, socket.write(piece));
      rest = Buffer.from(rest.subarray(taken));
      if (taken < piece.length) return;
    }
  };
  const send = (socket: Socket): void => {
    if (over()) {
      socket.terminate();
      resolve();
      return;
    }
    waiting = Array.from({ length: most }, () => aQuery(below(65_536)));
    rest = Buffer.concat(
      waiting.flatMap(({ sent }) => [Buffer.from([sent.length >> 8, sent.length & 255]), Buffer.from(sent)]),
    );
    write(socket);
  };
  connectTcp(
    { address: "127.0.0.1", port: PORT, timeout: 2000, data: null },
    {
      open: send,
      drain: write,
      data(socket, chunk) {
        input = Buffer.concat([input, chunk]);
        while (input.length >= 2 && input.length >= 2 + input.readUInt16BE(0)) {
          const size = input.readUInt16BE(0);
          judge(waiting.shift()!, input.subarray(2, 2 + size), true);
          input = input.subarray(2 + size);
        }
        if (waiting.length === 0) send(socket);
      },
      close: () => (waiting.length > 0 ? reject(new Error("closed")) : resolve()),
      failed: (_data, why) => reject(new Error(why)),
    },
  );
  return promise;
}

test(
  `every answer is right while everything changes, for ${SECONDS} s`,
  async () => {
    until = performance.now() + SECONDS * 1000;
    const clients = [
      ...Array.from({ length: 6 }, (_, i) => udpClient(1 + 12 * i)),
      ...Array.from({ length: 4 }, (_, i) => tcpClient(1 + 20 * i)),
    ];
    await Promise.all(clients);
    expect(faults).toEqual([]);
    console.log(`${judged} answers, ${truncated} truncated, ${changes} changes of health, ${rolls} of keys`);
  },
  SECONDS * 1000 + 20_000,
);
