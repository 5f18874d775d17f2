import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { createPublicKey } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packet from "dns-packet";
import { ClientAddress } from "../../../geo/prefix.ts";
import { bitmapTypes } from "../../../protocols/dns/dnssec/nsec.ts";
import { keyTag, verifySet } from "../../../protocols/dns/dnssec/rrsig.ts";
import { nameToWire } from "../../../protocols/dns/name.ts";
import { Rcode, Type } from "../../../protocols/dns/numbers.ts";
import { plainUdp } from "../../../protocols/dns/respond.ts";
import { type Parsed, parseMessage } from "../../../protocols/dns/testing.ts";
import { type Ask, aBackend, aServer, aService, aSnapshot, ask, someSettings } from "../testing.ts";
import { TRANSFER } from "../transfers.ts";
import { signedRecords } from "../zone-testing.ts";
import { makeKey, withKeys } from "./key-file.ts";
import { begin, dsSeen, firstKeys, signingKey, wantedKey } from "./key-states.ts";
import { operators, saidText } from "./operator.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-keys-"));
afterAll(() => rmSync(folder, { recursive: true }));

const services = [
  aService("shop", { dns: { ttl: "30s" } }),
  aService("star", { names: ["*.star.example.com"] }),
  aService("six", { names: ["six.example.com"] }),
  aService("child", { names: ["www.child.example.com"] }),
];
const backends = [1, 2, 3].map((i) => aBackend(i, `192.0.2.${i}`));
const six = [aBackend(1, "2001:db8::1")];
const snapshots = services.map(({ name }) => aSnapshot(name, name === "six" ? six : backends));
const zones = { "example.com": { records: [...signedRecords] }, "child.example.com": null };
/** Seconds since 1970. */
let now = 1_800_000_000;
const clock = () => now;
const settings = (more: object = {}) => ({
  zones,
  dnssec: { keys: folder, dnskeyTtl: "1m", propagation: "0s", ...more },
});
const signedServer = (more: object = {}, transport: object = {}) =>
  aServer(services, snapshots, settings(more), transport, { clock });
let server = signedServer();
beforeEach(() => {
  server = signedServer();
});
const plain = aServer(services, snapshots, { zones });

const tell = (question: Ask, from = server): Parsed =>
  parseMessage(from.raw(ask({ edns: 1232, dnssecOk: true, ...question })));

/** The public keys of a zone, from its own DNSKEY answer. */
function keysOf(zone: string): { tag: number; flags: number; key: ReturnType<typeof createPublicKey> }[] {
  const set = tell({ name: zone, type: "DNSKEY" }).answers.find((s) => s.type === Type.DNSKEY)!;
  return set.rdata.map((rdata) => {
    const [x, y] = [rdata.subarray(4, 36), rdata.subarray(36)].map((part) => Buffer.from(part).toString("base64url"));
    const key = createPublicKey({ key: { kty: "EC", crv: "P-256", x: x!, y: y! }, format: "jwk" });
    return { tag: keyTag(rdata), flags: (rdata[0]! << 8) | rdata[1]!, key };
  });
}

/** Types of sets in a message that have no good signature; `types` of those that have one. */
function sealOf(message: Parsed): { good: number[]; bare: number[] } {
  const good: number[] = [];
  const bare: number[] = [];
  for (const section of [message.answers, message.authority]) {
    for (const set of section.filter(({ type }) => type !== Type.RRSIG)) {
      const rrsigs = section
        .filter((s) => s.type === Type.RRSIG && s.owner === set.owner)
        .flatMap((s) => s.rdata)
        .filter((rdata) => ((rdata[0]! << 8) | rdata[1]!) === set.type);
      const holds = rrsigs.some((rdata) => {
        const view = new DataView(rdata.buffer, rdata.byteOffset);
        const [expiration, inception, tag] = [view.getUint32(8), view.getUint32(12), view.getUint16(16)];
        if (inception > now || expiration <= now || set.ttl > view.getUint32(4)) return false;
        const zone =
          set.owner.endsWith("child.example.com") && set.type !== Type.DS ? "child.example.com" : "example.com";
        const key = keysOf(zone).find((k) => k.tag === tag);
        return (
          key !== undefined && verifySet({ ...set, owner: nameToWire(set.owner)! }, rdata, nameToWire(zone)!, key.key)
        );
      });
      (holds ? good : bare).push(set.type);
    }
  }
  return { good: good.sort((a, b) => a - b), bare: bare.sort((a, b) => a - b) };
}

/** What NSEC says is at the name. */
function proofOf(message: Parsed): { owner: string; types: number[] } {
  const nsec = message.authority.find(({ type }) => type === Type.NSEC)!;
  const next = nameToWire(nsec.owner)!.length + 2;
  return { owner: nsec.owner, types: bitmapTypes(nsec.rdata[0]!.subarray(next))! };
}

const { A, AAAA, CNAME, DNAME, DS, HINFO, MX, NS, NSEC, RRSIG, SOA, TXT, NXNAME, CDS, CDNSKEY, DNSKEY, HTTPS } = {
  ...Type,
  MX: 15,
};
/** Name, type; RCODE; types with a good signature; types without any that need none; what the proof lists. */
const questions: [name: string, type: string, rcode: number, good: number[], bare: number[], proof?: number[]][] = [
  ["shop.example.com", "A", 0, [A], []],
  ["shop.example.com", "AAAA", 0, [SOA, NSEC], [], [A, RRSIG, NSEC]],
  ["six.example.com", "AAAA", 0, [AAAA], []],
  ["mail.example.com", "A", 0, [A], []],
  ["mail.example.com", "TXT", 0, [SOA, NSEC], [], [A, RRSIG, NSEC]],
  ["shop.example.com", "TXT", 0, [SOA, NSEC], [], [A, AAAA, RRSIG, NSEC]],
  ["nobody.example.com", "A", 0, [SOA, NSEC], [], [RRSIG, NSEC, NXNAME]],
  ["b.c.example.com", "A", 0, [SOA, NSEC], [], [RRSIG, NSEC]],
  ["x.star.example.com", "A", 0, [A], []],
  ["x.star.example.com", "MX", 0, [SOA, NSEC], [], [A, AAAA, RRSIG, NSEC]],
  ["y.wild.example.com", "TXT", 0, [TXT], []],
  ["y.wild.example.com", "A", 0, [SOA, NSEC], [], [TXT, RRSIG, NSEC]],
  ["z.also.example.com", "A", 0, [A, CNAME], []],
  ["www.example.com", "A", 0, [A, CNAME], []],
  ["wwww.example.com", "A", 0, [A, CNAME, CNAME], []],
  ["out.example.com", "A", 0, [CNAME], []],
  ["gone.example.com", "A", 0, [CNAME, SOA, NSEC], [], [RRSIG, NSEC, NXNAME]],
  ["www.example.com", "CNAME", 0, [CNAME], []],
  ["a.old.example.com", "A", 0, [A, DNAME], [CNAME]],
  ["old.example.com", "DNAME", 0, [DNAME], []],
  ["x.team.example.com", "A", 0, [NSEC], [NS], [NS, RRSIG, NSEC]],
  ["team.example.com", "DS", 0, [SOA, NSEC], [], [NS, RRSIG, NSEC]],
  ["x.sec.example.com", "A", 0, [DS], [NS]],
  ["sec.example.com", "DS", 0, [DS], []],
  ["child.example.com", "DS", 0, [DS], []],
  ["www.child.example.com", "A", 0, [A], []],
  ["s.example.com", "HTTPS", 0, [HTTPS], []],
  ["example.com", "SOA", 0, [SOA], []],
  ["example.com", "NS", 0, [NS], []],
  ["example.com", "MX", 0, [MX], []],
  ["example.com", "DNSKEY", 0, [DNSKEY], []],
  ["example.com", "CDS", 0, [CDS], []],
  ["example.com", "CDNSKEY", 0, [CDNSKEY], []],
  ["example.com", "TXT", 0, [SOA, NSEC], [], [NS, SOA, MX, RRSIG, NSEC, DNSKEY, CDS, CDNSKEY]],
  ["shop.example.com", "ANY", 0, [HINFO], []],
  ["shop.example.com", "NSEC", 0, [NSEC], []],
  ["nobody.example.com", "NXNAME", Rcode.FORMERR, [], []],
];

test("transfer.acl: a signed zone is given whole to nobody: what signs it stays here", () => {
  const out = Buffer.alloc(65537);
  const answerOf = (type: string, more: object): number | "whole" => {
    const question = ask({ name: "example.com", type });
    const { answerer } = aServer(services, snapshots, { zones, transfers: { from: ["192.0.2.0/24"] }, ...more });
    const client = new ClientAddress().read("192.0.2.9");
    const length = answerer.answer(question, question.length, client, { ...plainUdp, tcp: true }, out);
    return length === TRANSFER ? "whole" : out[3]! & 15;
  };
  expect([answerOf("AXFR", {}), answerOf("AXFR", settings())]).toEqual(["whole", Rcode.REFUSED]);
  expect(answerOf("IXFR", settings())).toBe(Rcode.REFUSED);
});

describe("a signed zone", () => {
  for (const [name, type, rcode, good, bare, proof] of questions) {
    test(`${name} ${type} is signed and proven`, () => {
      const message = tell({ name, type });
      expect(message.rcode).toBe(rcode);
      const sorted = (types: number[]): number[] => types.toSorted((a, b) => a - b);
      expect(sealOf(message)).toEqual({ good: sorted(good), bare: sorted(bare) });
      if (proof)
        expect(proofOf(message)).toEqual({
          owner: good.includes(CNAME) ? "nobody.example.com" : name.replace("x.team", "team"),
          types: sorted(proof),
        });
    });

    test(`${name} ${type} without DO is as of an unsigned zone`, () => {
      const bytes = ask({ name, type, edns: 1232 });
      const message = parseMessage(server.raw(bytes));
      expect([...message.answers, ...message.authority].some((s) => s.type === RRSIG || s.type === NSEC)).toBe(false);
      // What signing itself adds is not in the other one.
      if ([DNSKEY, CDS, CDNSKEY].some((own) => good.includes(own)) || (name === "child.example.com" && type === "DS"))
        return;
      const other = parseMessage(plain.raw(bytes));
      expect({ ...message, answers: [] }).toEqual({ ...other, answers: [] });
      expect(message.answers.length).toBe(other.answers.length);
    });
  }

  test("RRSIG alone gets one signature", () => {
    const { answers } = tell({ name: "shop.example.com", type: "RRSIG" });
    expect(answers.map((s) => [s.type, s.rdata.length])).toEqual([[RRSIG, 1]]);
  });

  test("a client that takes it (CO) gets NXDOMAIN with the proof", () => {
    const bytes = ask({ name: "nobody.example.com", edns: 1232, dnssecOk: true });
    bytes[bytes.length - 4]! |= 0x40;
    const message = parseMessage(server.raw(bytes));
    expect([message.rcode, sealOf(message).good]).toEqual([Rcode.NXDOMAIN, [SOA, NSEC]]);
  });

  test("AD stays clear, CD and DO come back", () => {
    const answer = server.raw(
      ask({
        name: "shop.example.com",
        edns: 1232,
        dnssecOk: true,
        flags: 0x30,
      }),
    );
    expect(packet.decode(Buffer.from(answer))).toMatchObject({ flag_ad: false, flag_cd: true, flag_aa: true });
    expect(packet.decode(Buffer.from(answer)).additionals[0]).toMatchObject({ flag_do: true });
  });

  test("what does not fit with its signature is truncated, and whole over TCP", () => {
    const small = server.raw(ask({ name: "shop.example.com", edns: 512, dnssecOk: true }));
    expect(small.length).toBeLessThanOrEqual(512);
    const many = aServer(
      [services[0]!],
      [
        aSnapshot(
          "shop",
          Array.from({ length: 70 }, (_, i) => aBackend(i, `192.0.2.${i}`)),
        ),
      ],
      settings(),
      {},
      { clock },
    );
    expect(parseMessage(many.raw(ask({ name: "shop.example.com", edns: 1232, dnssecOk: true }))).truncated).toBe(true);
  });
});

describe("steered sets", () => {
  test("every set of addresses that health gives is signed, once", () => {
    for (let down = 0; down < 8; down++) {
      const next = backends.map((b, i) => ({ ...b, state: down & (1 << i) ? ("down" as const) : ("up" as const) }));
      server.change(aSnapshot("shop", next, down + 2));
      expect(sealOf(tell({ name: "shop.example.com" }))).toEqual({ good: [A], bare: [] });
    }
    const { made } = server.room!;
    for (let i = 0; i < 50; i++) expect(sealOf(tell({ name: "shop.example.com" })).good).toEqual([A]);
    for (const state of ["up", "down"] as const) {
      server.change(aSnapshot("shop", [...backends.slice(0, 2), { ...backends[2]!, state }], 20));
      expect(sealOf(tell({ name: "shop.example.com" })).good).toEqual([A]);
    }
    expect(server.room!.made).toBe(made);
  });

  test("what is kept of answers follows health, keys and serial, and is the same octets", () => {
    const aaaa = ask({ name: "shop.example.com", type: "AAAA", edns: 1232, dnssecOk: true });
    const first = Buffer.from(server.raw(aaaa));
    expect(Buffer.from(server.raw(aaaa))).toEqual(first);
    expect(server.doors.counts.get("shop/-1/requests")).toBe(2);
    server.change(aSnapshot("shop", [...backends, aBackend(9, "2001:db8::9")], 50));
    expect(sealOf(parseMessage(server.raw(aaaa)))).toEqual({ good: [AAAA], bare: [] });
    server.change(aSnapshot("shop", backends, 51));
    expect(sealOf(parseMessage(server.raw(aaaa)))).toEqual({ good: [SOA, NSEC], bare: [] });
    server.site.renumber(99);
    expect(Buffer.from(server.raw(aaaa)).equals(first)).toBe(false);
    expect(sealOf(parseMessage(server.raw(aaaa)))).toEqual({ good: [SOA, NSEC], bare: [] });
    // Another case, a smaller client: the same answer, or none of it.
    const upper = server.raw(ask({ name: "SHOP.example.com", type: "AAAA", edns: 1232, dnssecOk: true }));
    expect(sealOf(parseMessage(upper)).good).toEqual([SOA, NSEC]);
    const bare = server.raw(ask({ name: "shop.example.com", type: "AAAA", dnssecOk: true }));
    expect(parseMessage(bare).authority.map((s) => s.type)).toEqual([SOA]);
  });

  test("signatures are renewed before they end, without a break", () => {
    const signature = (): string =>
      Buffer.from(tell({ name: "mail.example.com" }).answers.find((s) => s.type === RRSIG)!.rdata[0]!).toString("hex");
    const first = signature();
    now += 8 * 86_400;
    server.keep();
    expect(signature()).toBe(first);
    for (let day = 0; day < 20; day++) {
      now += 86_400;
      server.keep();
      for (const [name, type] of [
        ["mail.example.com", "A"],
        ["nobody.example.com", "A"],
        ["example.com", "DNSKEY"],
      ] as const)
        expect(sealOf(tell({ name, type })).bare).toEqual([]);
    }
    expect(signature()).not.toBe(first);
  });
});

describe("names that clients make up", () => {
  test("cannot make more signatures than are allowed: UDP is sent to TCP, TCP told to come again; what exists is answered", () => {
    const udp = signedServer({ signatures: 1 });
    const many = (from: ReturnType<typeof signedServer>, n: number): Parsed[] =>
      Array.from({ length: n }, (_, i) => tell({ name: `r${i}.example.com` }, from));
    const over = many(udp, 20);
    expect(over.filter((m) => m.truncated && m.rcode === 0).length).toBeGreaterThanOrEqual(14);
    expect(sealOf(tell({ name: "shop.example.com" }, udp)).good).toEqual([A]);
    expect(udp.counted("SLUICE_DNS_UNSIGNED")).toBeGreaterThanOrEqual(14);
    const tcp = many(signedServer({ signatures: 1 }, { tcp: true }), 20);
    expect(tcp.filter((m) => m.rcode === Rcode.SERVFAIL).length).toBeGreaterThanOrEqual(14);
    expect(tcp.some((m) => m.truncated)).toBe(false);
  });
});

describe("rollovers", () => {
  const change = (work: Parameters<typeof withKeys>[2]) => withKeys(folder, "example.com", work);
  const all = (): void => {
    server.keep();
    for (const [name, type] of [
      ["shop.example.com", "A"],
      ["nobody.example.com", "A"],
      ["example.com", "DNSKEY"],
      ["example.com", "CDS"],
    ] as const)
      expect([name, type, sealOf(tell({ name, type })).bare]).toEqual([name, type, []]);
  };
  const tags = (): number[] =>
    keysOf("example.com")
      .map(({ tag }) => tag)
      .sort();

  test("of the zone-signing key: answers are good at every step, and the new key signs only when it is known", () => {
    all();
    const old = signingKey(change(() => null)).tag;
    change((keys) => begin(keys, "zsk", now, makeKey).keys);
    all();
    expect(tags()).toHaveLength(3);
    const signer = (): number => {
      const rdata = tell({ name: "shop.example.com" }).answers.find((s) => s.type === RRSIG)!.rdata[0]!;
      return (rdata[16]! << 8) | rdata[17]!;
    };
    expect(signer()).toBe(old);
    now += 60;
    all();
    expect(signer()).not.toBe(old);
    expect(tags()).toContain(old);
    now += 3700;
    all();
    expect(tags()).not.toContain(old);
  });

  test("of the key-signing key: CDS names the new one when it is known, the old one stays until its DS is forgotten", () => {
    all();
    const cds = (): number => {
      const rdata = tell({ name: "example.com", type: "CDS" }).answers[0]!.rdata[0]!;
      return (rdata[0]! << 8) | rdata[1]!;
    };
    const old = wantedKey(change(() => null)).tag;
    expect(cds()).toBe(old);
    change((keys) => begin(keys, "ksk", now, makeKey).keys);
    all();
    expect(cds()).toBe(old);
    now += 61;
    all();
    const next = cds();
    expect(next).not.toBe(old);
    now += 10 * 86_400;
    all();
    expect(tags()).toContain(old);
    change((keys) => dsSeen(keys, next, now)!.keys);
    all();
    expect(tags()).toContain(old);
    now += 86_401;
    all();
    expect(tags()).not.toContain(old);
  });
});

describe("keys on disk", () => {
  test("nobody else may read them, and what others may read is refused", () => {
    for (const file of readdirSync(folder)) expect(statSync(join(folder, file)).mode & 0o077).toBe(0);
    const open = mkdtempSync(join(tmpdir(), "sluice-keys-"));
    withKeys(open, "example.com", () => firstKeys(1, makeKey));
    Bun.spawnSync(["chmod", "644", join(open, "example.com.json")]);
    expect(() => withKeys(open, "example.com", () => null)).toThrow("may be read by others");
    rmSync(open, { recursive: true });
  });

  test("commands show and change them", () => {
    const given = someSettings(settings());
    const ask = (word: keyof typeof operators, ...words: string[]) => operators[word](services, given, words);
    const say = (word: keyof typeof operators, ...words: string[]) => {
      const said = ask(word, ...words);
      return said.ok ? { ...said, value: said.value.map(saidText) } : said;
    };
    const status = say("status");
    const facts = ask("status");
    expect(facts.ok && facts.value.filter(({ zone }) => zone === "example.com").map(({ key }) => key)).toContainEqual({
      role: "ksk",
      tag: expect.any(Number),
      state: "active",
      since: expect.any(Number),
      due: null,
    });
    expect(status.ok && status.value.join("\n")).toMatch(/example\.com: KSK \d+ active since/);
    const ds = say("ds", "example.com.");
    expect(ds.ok && ds.value[0]).toMatch(/^example\.com\. IN DS \d+ 13 2 [0-9A-F]{64}$/);
    const wrong = say("seen", "example.com", "0");
    expect(!wrong.ok && wrong.problems[0]!.hint).toBe("None waits for the parent.");
    expect(say("ds", "example.org").ok).toBe(false);
    const rolled = say("rollZsk", "child.example.com");
    expect(rolled.ok && rolled.value.join()).toMatch(/child\.example\.com: ZSK \d+ is published, to take over/);
    const again = say("rollZsk", "child.example.com");
    expect(again.ok && again.value.join()).toContain("under way already");
  });
});
