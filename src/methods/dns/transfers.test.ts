import { describe, expect, test } from "bun:test";
import { ClientAddress } from "../../geo/prefix.ts";
import { nameToWire } from "../../protocols/dns/name.ts";
import { Rcode, Type } from "../../protocols/dns/numbers.ts";
import { plainUdp } from "../../protocols/dns/respond.ts";
import { type Parsed, parseMessage } from "../../protocols/dns/testing.ts";
import { answerHolds, signMessage } from "../../protocols/dns/tsig-client.ts";
import { aBackend, aServer, aService, aSnapshot, ask, someSettings } from "./testing.ts";
import { TRANSFER } from "./transfers.ts";

const services = [aService("shop", { dns: { ttl: "20s" } }), aService("inner", { names: ["www.child.example.com"] })];
const states = ["up", "down", "draining", "up"] as const;
const backends = [...states.map((state, i) => aBackend(i, `192.0.2.${i + 1}`, { state })), aBackend(9, "2001:db8::1")];
const snapshots = services.map(({ name }) => aSnapshot(name, backends));
const records = [
  "mail A 192.0.2.60",
  "mail A 192.0.2.61",
  "@ MX 10 mail",
  "sub NS ns.sub",
  "ns.sub A 192.0.2.70",
  "*.w CNAME mail",
];
const many = Array.from({ length: 3000 }, (_, i) => `n${i} TXT "${"x".repeat(50)} ${i}"`);
const zones = { "example.com": { records }, "child.example.com": null, "big.example": { records: many } };
const transfers = { from: ["192.0.2.0/24", "2001:db8::/32"] };
const server = aServer(services, snapshots, { zones, transfers });

/** All messages of the answer over TCP to a query. */
function told(bytes: Uint8Array, client = "192.0.2.9", from = server, tcp = true): Parsed[] {
  const out = Buffer.alloc(65537);
  const length = from.answerer.answer(bytes, bytes.length, new ClientAddress().read(client), { ...plainUdp, tcp }, out);
  if (length !== TRANSFER) return [parseMessage(out.subarray(0, length))];
  return Array.from(from.answerer.transfer!, (message) => parseMessage(message));
}
const axfr = (name: string, ...more: [client?: string]) => told(ask({ name, type: "AXFR" }), ...more);

/** An incremental query: the SOA that the client has stands in the authority section. */
function ixfr(name: string, serial: number): Buffer {
  const question = ask({ name, type: "IXFR" });
  question[9] = 1;
  const data = [
    ...Array(2).fill([1, 120, 0xc0, 12]).flat(),
    ...[24, 16, 8, 0].map((s) => (serial >>> s) & 255),
    ...Array(16).fill(0),
  ];
  return Buffer.concat([question, Buffer.from([0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, data.length, ...data])]);
}

describe("a zone on its way to another server", () => {
  test("transfer.whole, transfer.static: is whole, SOA first and last, with the services' addresses whatever their health", () => {
    const [message] = axfr("example.com");
    expect(message!.authoritative).toBe(true);
    const lines = message!.answers.flatMap(({ owner, type, ttl, rdata }) =>
      rdata.map((r) => `${owner} ${ttl} ${type} ${type === Type.A ? r.join(".") : ""}`.trim()),
    );
    // The parser gathers sets: both SOA are in one.
    expect(message!.answers[0]).toMatchObject({ owner: "example.com", type: Type.SOA });
    expect(message!.answers[0]!.rdata).toHaveLength(2);
    expect(lines.filter((line) => line.includes(" 1 ")).sort()).toEqual([
      "mail.example.com 3600 1 192.0.2.60",
      "mail.example.com 3600 1 192.0.2.61",
      "ns.child.example.com 3600 1 127.0.0.1",
      "ns.example.com 3600 1 127.0.0.1",
      "ns.sub.example.com 3600 1 192.0.2.70",
      "shop.example.com 20 1 192.0.2.1",
      "shop.example.com 20 1 192.0.2.2",
      "shop.example.com 20 1 192.0.2.4",
    ]);
    const rest = lines.filter((line) => !line.includes(" 1 ")).sort();
    expect(rest).toEqual([
      "*.w.example.com 3600 5",
      "child.example.com 3600 2",
      "example.com 3600 15",
      "example.com 3600 2",
      "example.com 3600 6",
      "example.com 3600 6",
      "shop.example.com 20 28",
      "sub.example.com 3600 2",
    ]);
  });

  test("transfer.whole: goes in as many messages as it takes, each with id and question, none twice", () => {
    const messages = axfr("big.example");
    expect(messages.length).toBeGreaterThan(10);
    expect(messages.every(({ id, rcode, truncated }) => id === 4711 && rcode === 0 && !truncated)).toBe(true);
    const owners = messages.flatMap((m) => m.answers.filter((s) => s.type === Type.TXT).map((s) => s.owner));
    expect([owners.length, new Set(owners).size]).toEqual([3000, 3000]);
    const soas = messages.map((m) => m.answers.filter((s) => s.type === Type.SOA).length);
    expect([soas[0], soas.at(-1), soas.slice(1, -1).some((n) => n > 0)]).toEqual([1, 1, false]);
  });

  test("others answer in between without either being disturbed", () => {
    const out = Buffer.alloc(65537);
    const query = ask({ name: "big.example", type: "AXFR" });
    server.answerer.answer(query, query.length, new ClientAddress().read("192.0.2.9"), { ...plainUdp, tcp: true }, out);
    query.fill(0xff);
    const { transfer } = server.answerer;
    let count = 0;
    for (const message of transfer!) {
      expect(parseMessage(message).id).toBe(4711);
      expect(server.tell({ name: "mail.example.com", id: count })!.answers).toHaveLength(2);
      count++;
    }
    expect(count).toBeGreaterThan(10);
  });

  test("transfer.whole: first and last SOA are the same though the serial changes meanwhile (RFC 5936 2.2)", () => {
    const own = aServer(services, snapshots, { zones, transfers });
    const query = ask({ name: "big.example", type: "AXFR" });
    own.answerer.answer(
      query,
      query.length,
      new ClientAddress().read("192.0.2.9"),
      { ...plainUdp, tcp: true },
      Buffer.alloc(65537),
    );
    const soas: string[] = [];
    for (const message of own.answerer.transfer!) {
      own.site.renumber(soas.length + 40);
      for (const set of parseMessage(message).answers.filter(({ type }) => type === Type.SOA))
        soas.push(Buffer.from(set.rdata[0]!.subarray(-20)).toString("hex"));
    }
    expect(soas).toHaveLength(2);
    expect(soas[0]).toBe(soas[1]!);
  });

  test("transfer.acl, transfer.zone: is refused to all but those who may have it, and where there is no such zone", () => {
    expect(axfr("example.com", "198.51.100.1")[0]!.rcode).toBe(Rcode.REFUSED);
    expect(axfr("example.com", "2001:db8::7")[0]!.rcode).toBe(0);
    expect(axfr("mail.example.com")[0]!.rcode).toBe(Rcode.NOTAUTH);
    expect(axfr("nothing.example")[0]!.rcode).toBe(Rcode.NOTAUTH);
    expect(told(ask({ name: "example.com", type: "AXFR" }), "192.0.2.9", server, false)[0]!.rcode).toBe(Rcode.REFUSED);
    const closed = aServer(services, snapshots, { zones });
    expect(told(ask({ name: "example.com", type: "AXFR" }), "192.0.2.9", closed)[0]!.rcode).toBe(Rcode.REFUSED);
  });

  test("transfer.incremental: IXFR gets the whole, or one SOA when there is nothing newer, or over UDP (RFC 1995 2, 4)", () => {
    const whole = told(ixfr("example.com", 0));
    expect(whole[0]!.answers[0]!.rdata).toHaveLength(2);
    for (const answer of [told(ixfr("example.com", 1)), told(ixfr("example.com", 0), "192.0.2.9", server, false)])
      expect(answer.map((m) => m.answers.map((s) => [s.type, s.rdata.length]))).toEqual([[[Type.SOA, 1]]]);
    expect(told(ask({ name: "example.com", type: "IXFR" }))[0]!.rcode).toBe(Rcode.FORMERR);
  });

  test("a revision that only changes backends has another serial, unless the zone names its own", () => {
    const own = aServer(services, snapshots, {
      zones: {
        "example.com": null,
        "big.example": { records: ["@ SOA ns hostmaster 77 1 2 3 4", "@ NS ns", "ns A 192.0.2.1"] },
      },
    });
    const serial = (name: string): number => {
      const soa = parseMessage(own.raw(ask({ name, type: "SOA" }))).answers[0]!.rdata[0]!;
      return new DataView(soa.buffer, soa.length - 20).getUint32(0);
    };
    const denied = (): number => {
      const soa = parseMessage(own.raw(ask({ name: "shop.example.com", type: "TXT" }))).authority[0]!.rdata[0]!;
      return new DataView(soa.buffer, soa.length - 20).getUint32(0);
    };
    expect([serial("example.com"), denied(), serial("big.example")]).toEqual([1, 1, 77]);
    own.site.renumber(12);
    expect([serial("example.com"), denied(), serial("big.example")]).toEqual([12, 12, 77]);
  });
});

/** A query with a TSIG record of a key that nobody has. */
function strange(question: Buffer, key: Uint8Array, algorithm: Uint8Array): Buffer {
  const rest = [0, 0, 0, 0, 0, 1, 44, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
  const size = algorithm.length + rest.length - 1;
  const made = [...key, 0, 250, 0, 255, 0, 0, 0, 0, size >> 8, size & 255, ...algorithm, ...rest.slice(1)];
  question[11]!++;
  return Buffer.concat([question, Buffer.from(made)]);
}

test("names of key and algorithm as long as may be: what does not fit back is FORMERR, never an overflow", () => {
  const long = (octet: number): Uint8Array =>
    Uint8Array.from([...[63, 63, 63, 61].flatMap((n) => [n, ...Array(n).fill(octet)]), 0]);
  const name = `${"q".repeat(60)}.${"r".repeat(60)}.${"s".repeat(60)}.example.com`;
  const query = strange(ask({ name }), long(97), long(98));
  const answered = (size: number): number => {
    const out = Buffer.alloc(size);
    const length = server.answerer.answer(
      query,
      query.length,
      new ClientAddress().read("192.0.2.9"),
      { ...plainUdp, udpSize: size },
      out,
    );
    return out[3]! & 15 || -length;
  };
  expect([answered(512), answered(1232)]).toEqual([Rcode.FORMERR, Rcode.NOTAUTH]);
});

test("tsig.errors: a signed query of a later EDNS version is judged by its TSIG first", () => {
  const edns = ask({ name: "mail.example.com", edns: 1232 });
  edns[edns.length - 11 + 6] = 1;
  const answer = parseMessage(server.raw(strange(edns, nameToWire("nobody")!, nameToWire("hmac-sha256")!)));
  expect([answer.rcode, answer.additional.at(-1)!.type]).toEqual([Rcode.NOTAUTH, 250]);
});

test("names of keys mean the same whatever their case", () => {
  const tsigKeys = { "Xfer.Example.": { secret: Buffer.alloc(16).toString("base64") } };
  const made = someSettings({ tsigKeys, transfers: { keys: ["XFER.example"] } });
  expect(Object.keys(made.tsigKeys)).toEqual(["xfer.example"]);
});

test("tsig.errors: a query with a wrong TSIG gets NOTAUTH and the reason, whatever it asks", () => {
  const before = server.counted("SLUICE_DNS_BADTSIG");
  const question = ask({ name: "mail.example.com" });
  question[11] = 1;
  const mac = Array(32).fill(7);
  const algorithm = nameToWire("hmac-sha256")!;
  const data = [...algorithm, 0, 0, 0, 0, 0, 0, 1, 44, 0, 32, ...mac, 0, 1, 0, 0, 0, 0];
  const bytes = Buffer.concat([
    question,
    nameToWire("nobody")!,
    Buffer.from([0, 250, 0, 255, 0, 0, 0, 0, 0, data.length, ...data]),
  ]);
  const answer = parseMessage(server.raw(bytes));
  expect([answer.rcode, answer.answers.length, answer.additional.map((s) => s.type)]).toEqual([
    Rcode.NOTAUTH,
    0,
    [250],
  ]);
  // BADKEY, no MAC.
  const rdata = answer.additional[0]!.rdata[0]!;
  expect([...rdata.subarray(-4)]).toEqual([0, 17, 0, 0]);
  expect(server.counted("SLUICE_DNS_BADTSIG")).toBe(before + 1);
  // Not the last record: nobody knows what it signs.
  bytes[11] = 2;
  const opt = Buffer.from([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
  expect(server.raw(Buffer.concat([bytes, opt]))[3]! & 15).toBe(Rcode.FORMERR);
});

describe("a signed message gets a signed answer", () => {
  const secret = Buffer.alloc(16, 7);
  const key = { name: nameToWire("peer.example")!, algorithm: "hmac-sha256" as const, secret: Uint8Array.from(secret) };
  const settings = { zones, tsigKeys: { "peer.example": { secret: secret.toString("base64") } } };
  const now = (): number => Math.floor(Date.now() / 1000);
  const plain = ask({ name: "mail.example.com" });
  const altered = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(plain);
    change(bytes);
    return bytes;
  };
  const signedBy = (server: ReturnType<typeof aServer>, message: Uint8Array) => {
    const asked = signMessage(message, key, now());
    const answer = server.raw(asked.bytes);
    return {
      rcode: answer[3]! & 15,
      truncated: (answer[2]! & 2) !== 0,
      signed: answerHolds(answer, asked, key, now()),
    };
  };
  const peer = aServer(services, snapshots, settings);
  const whole = { truncated: false, signed: true };

  test("tsig.errors: also to another operation, and to what is malformed where the signature can be read", () => {
    expect(signedBy(peer, plain)).toEqual({ rcode: 0, ...whole });
    const notify = altered((bytes) => bytes.writeUInt8(0x20, 2));
    expect(signedBy(peer, notify)).toEqual({ rcode: Rcode.NOTIMP, ...whole });
    const update = altered((bytes) => bytes.writeUInt8(0x28, 2));
    expect(signedBy(peer, update)).toEqual({ rcode: Rcode.NOTIMP, ...whole });
    const twice = Buffer.concat([plain, plain.subarray(12)]);
    twice[5] = 2;
    expect(signedBy(peer, twice)).toEqual({ rcode: Rcode.FORMERR, ...whole });
    const none = Buffer.from(plain.subarray(0, 12));
    none[5] = 0;
    expect(signedBy(peer, none)).toEqual({ rcode: Rcode.FORMERR, ...whole });
  });

  test("a wrong signature under another operation is NOTAUTH, and what hides the record is FORMERR without one", () => {
    const notify = signMessage(
      altered((bytes) => bytes.writeUInt8(0x20, 2)),
      { ...key, secret: Uint8Array.from(Buffer.alloc(16, 8)) },
      now(),
    );
    expect(peer.raw(notify.bytes)[3]! & 15).toBe(Rcode.NOTAUTH);
    const { bytes } = signMessage(plain, key, now());
    bytes[11] = 2;
    const answer = peer.raw(bytes);
    expect([answer[3]! & 15, answer.readUInt16BE(10)]).toEqual([Rcode.FORMERR, 0]);
  });

  test("whoever has a key is not turned away unsigned: no rate and no cookie stands before a right signature", () => {
    const limited = aServer(
      services,
      snapshots,
      { ...settings, rateLimit: { perSecond: 1, slip: 1 } },
      {},
      { now: () => 0 },
    );
    limited.raw(plain);
    expect(limited.raw(plain)[2]! & 2).toBe(2);
    expect(signedBy(limited, plain)).toEqual({ rcode: 0, ...whole });
    const wrong = signMessage(plain, { ...key, secret: Uint8Array.from(Buffer.alloc(16, 8)) }, now());
    expect(limited.raw(wrong.bytes)[2]! & 2).toBe(2);
    const required = aServer(services, snapshots, { ...settings, cookies: { require: true } });
    expect(required.raw(plain)[2]! & 2).toBe(2);
    expect(signedBy(required, plain)).toEqual({ rcode: 0, ...whole });
  });
});
