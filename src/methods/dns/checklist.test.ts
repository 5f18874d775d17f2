import { expect } from "bun:test";
import { nameToWire } from "../../protocols/dns/name.ts";
import { parseTtl } from "../../protocols/dns/rdata-text.ts";
import { checked } from "./checklist-testing.ts";
import { dns } from "./index.ts";
import { judgeTogether } from "./judge.ts";
import { aBackend, aServer, aService, aSnapshot, ask, someSettings, withOption } from "./testing.ts";

const services = [
  aService("shop"),
  aService("deep", { names: ["a.b.deep.example.com"] }),
  aService("star", { names: ["*.wild.example.com"] }),
  aService("inner", { names: ["child.example.com"] }),
  aService("wide"),
];
const backends = Array.from({ length: 40 }, (_, i) => aBackend(i, `192.0.2.${i + 1}`));
const snapshots = services.map((s) => aSnapshot(s.name, s.name === "wide" ? backends : backends.slice(0, 2)));
const zones = ["example.com", "child.example.com"];
const nsid = new TextEncoder().encode("lb1");
const server = aServer(services, snapshots, { zones }, { nsid });
const overTcp = aServer(services, snapshots, { zones }, { tcp: true, keepalive: 100 });
const { tell, raw } = server;
/** Records beside the services. */
const zone = aServer([services[0]!], [snapshots[0]!], {
  zones: {
    "example.com": {
      records: [
        "www CNAME shop",
        "gone CNAME nothing",
        "one CNAME two",
        "two CNAME one",
        `old 77 DNAME ${"x".repeat(63)}`,
        "sub NS ns.sub",
        "ns.sub A 192.0.2.60",
        "sub DS 1 13 2 00",
        "odd TYPE65280 \\# 2 0102",
        "both 60 A 192.0.2.1",
        "both 30 A 192.0.2.2",
        "https HTTPS 1 . port=443 alpn=h2",
        "*.star A 192.0.2.90",
        "is.star TXT here",
        "a.b.star TXT deep",
        "x.*.mid TXT literal",
        "tostar CNAME made.star",
        "srv SRV 1 2 3 srv",
        "mx MX 1 mx",
      ],
    },
  },
});
const shop = (more: object = {}) => tell({ name: "shop.example.com", ...more })!;

/** A query with other octets at some places; negative places count from the end. */
function altered(changes: Record<number, number>, question: object = {}): Buffer {
  const bytes = ask({ name: "shop.example.com", ...question });
  for (const [at, octet] of Object.entries(changes))
    bytes[Number(at) < 0 ? bytes.length + Number(at) : Number(at)] = octet;
  return bytes;
}

const rcode = (bytes: Uint8Array): number => raw(bytes)[3]! & 15;

const cases: Record<string, () => void> = {
  "header.echo": () => {
    const got = shop({ id: 40_000, flags: 0x0110 });
    expect([got.id, got.opcode, got.flag_rd, got.flag_cd]).toEqual([40_000, "QUERY", true, true]);
    expect([got.flag_ra, got.flag_z, got.flag_ad]).toEqual([false, false, false]);
  },
  "header.aa": () => {
    for (const name of ["shop.example.com", "nobody.example.com", "example.com"])
      expect(tell({ name })!.flag_aa).toBe(true);
    expect(tell({ name: "example.org" })!.flag_aa).toBe(false);
  },
  "header.response": () => {
    expect(raw(altered({ 2: 0x80 })).length).toBe(0);
    expect(raw(altered({}).subarray(0, 11)).length).toBe(0);
  },
  "header.opcode": () => {
    for (const opcode of [1, 2, 3, 4, 5, 6, 15]) expect(rcode(altered({ 2: opcode << 3 }))).toBe(4);
    expect(rcode(altered({ 2: 15 << 3, 5: 0 }).subarray(0, 12))).toBe(4);
  },
  "header.flags": () => {
    for (const flags of [0x0400, 0x0080, 0x0200, 0x0040, 0x0020, 0x0010])
      expect(shop({ flags }).answers).toHaveLength(2);
  },
  "question.one": () => {
    expect(rcode(altered({ 5: 0 }))).toBe(1);
    expect(rcode(altered({ 5: 2 }))).toBe(1);
  },
  "question.foreign": () => {
    const got = tell({ name: "www.example.org" })!;
    expect([got.rcode, got.authorities.length, got.additionals.length]).toEqual(["REFUSED", 0, 0]);
  },
  "question.class": () => expect(rcode(altered({ [-1]: 3 }))).toBe(5),
  "question.type": () => {
    const got = tell(altered({ [-4]: 2, [-3]: 154 }))!;
    expect([got.rcode, got.answers.length, got.authorities.length]).toEqual(["NOERROR", 0, 1]);
  },
  "name.limits": () => {
    const label = Buffer.from([63, ...Array(63).fill(0xff)]);
    const tail = Buffer.from("\x07example\x03com\0\0\x01\0\x01", "latin1");
    const head = altered({}).subarray(0, 12);
    expect(rcode(Buffer.concat([head, label, label, label, Buffer.from([1, 0]), tail]))).toBe(3);
    expect(rcode(Buffer.concat([head, label, label, label, label, tail]))).toBe(1);
  },
  "name.case": () => {
    const got = shop({ name: "ShOp.exAMPLE.com" });
    expect([got.questions[0]!.name, got.answers.length]).toEqual(["ShOp.exAMPLE.com", 2]);
  },
  "name.pointer": () => {
    expect(rcode(altered({ 12: 0xc0, 13: 12 }))).toBe(1);
    expect(shop().answers[0]!.name).toBe("shop.example.com");
    expect(tell({ name: "x.y.example.com" })!.authorities[0]!.name).toBe("example.com");
  },
  "lookup.empty": () => {
    for (const name of ["b.deep.example.com", "deep.example.com"]) expect(tell({ name })!.rcode).toBe("NOERROR");
    for (const name of ["c.b.deep.example.com", "x.a.b.deep.example.com"])
      expect(tell({ name })!.rcode).toBe("NXDOMAIN");
  },
  "lookup.wildcard": () => {
    expect(tell({ name: "x.y.wild.example.com" })!.answers[0]!.name).toBe("x.y.wild.example.com");
    expect(tell({ name: "x.shop.example.com" })!.rcode).toBe("NXDOMAIN");
  },
  "lookup.wildcard.literal": () => {
    expect(zone.tell({ name: "x.*.mid.example.com", type: "TXT" })!.answers).toHaveLength(1);
    expect(zone.tell({ name: "x.y.mid.example.com", type: "TXT" })!.answers).toHaveLength(0);
  },
  "lookup.wildcard.exists": () => {
    const of = (name: string): number[] => {
      const answer = zone.raw(ask({ name }));
      return [answer[3]! & 15, answer[7]!];
    };
    for (const name of ["is.star", "b.star"]) expect(of(`${name}.example.com`)).toEqual([0, 0]);
    for (const name of ["x.is.star", "x.b.star"]) expect(of(`${name}.example.com`)).toEqual([3, 0]);
    expect(of("y.z.star.example.com")).toEqual([0, 1]);
  },
  "lookup.wildcard.alias": () => {
    const answers = zone.tell({ name: "tostar.example.com" })!.answers;
    expect(answers.map((a) => a.name)).toEqual(["tostar.example.com", "made.star.example.com"]);
  },
  "name.compress": () => {
    const size = (type: string, name: string): number => zone.raw(ask({ name, type })).length;
    // Header, question, record with a pointer for its owner; then the RDATA, its name whole, or a label and a pointer.
    const fixed = (name: string): number => 12 + nameToWire(name)!.length + 4 + 12;
    expect(size("SRV", "srv.example.com")).toBe(fixed("srv.example.com") + 6 + nameToWire("srv.example.com")!.length);
    expect(size("MX", "mx.example.com")).toBe(fixed("mx.example.com") + 2 + "\x02mx".length + 2);
  },
  "rrset.ttl.most": () =>
    expect(["2147483647", "2147483648", "3551w", "1h30m", "1s".repeat(33)].map(parseTtl)).toEqual([
      2 ** 31 - 1,
      null,
      null,
      5400,
      null,
    ]),
  "rrset.target": () => {
    const given = someSettings({
      zones: { "example.com": { records: ["@ MX 10 www", "www CNAME shop", "sub NS www"] } },
    });
    expect(judgeTogether([services[0]!], given).map(({ severity, message }) => `${severity} ${message}`)).toEqual(
      ["example.com: MX", "sub.example.com: NS"].map(
        (who) =>
          `warning ${who} leads to www.example.com, which is an alias (RFC 2181 10.3): not all resolvers follow it.`,
      ),
    );
  },
  "lookup.ds": () => expect(tell({ name: "child.example.com", type: "DS" })!.authorities[0]!.name).toBe("example.com"),
  "lookup.cut": () => {
    const got = zone.tell({ name: "a.sub.example.com" })!;
    expect([got.flag_aa, got.answers.length, got.authorities[0]!.type, got.additionals[0]!.name]).toEqual([
      false,
      0,
      "NS",
      "ns.sub.example.com",
    ]);
  },
  "lookup.cut.ds": () => {
    const got = zone.tell({ name: "sub.example.com", type: "DS" })!;
    expect([got.flag_aa, got.answers.map((a) => a.type)]).toEqual([true, ["DS"]]);
  },
  "lookup.cname": () => {
    expect(zone.tell({ name: "www.example.com" })!.answers.map((a) => a.type)).toEqual(["CNAME", "A", "A"]);
    expect(zone.tell({ name: "gone.example.com" })!).toMatchObject({ rcode: "NXDOMAIN", answers: [{ type: "CNAME" }] });
  },
  "lookup.loop": () => expect(zone.tell({ name: "one.example.com" })!.rcode).toBe("NOERROR"),
  "lookup.dname": () => {
    const { answers } = zone.tell({ name: "a.old.example.com", type: "CNAME" })!;
    expect(answers.map((a) => [a.type, a.ttl])).toEqual([
      ["DNAME", 77],
      ["CNAME", 77],
    ]);
  },
  "lookup.dname.long": () => {
    const label = "y".repeat(60);
    expect(zone.tell({ name: `${label}.${label}.${label}.old.example.com` })!.rcode).toBe("YXDOMAIN");
  },
  "rrset.opaque": () => {
    expect(zone.tell({ name: "odd.example.com", type: "UNKNOWN_65280" })!.answers).toHaveLength(1);
  },
  "rrset.ttl": () => expect(zone.tell({ name: "both.example.com" })!.answers.map((a) => a.ttl)).toEqual([30, 30]),
  svcb: () => {
    const answer = zone.raw(ask({ name: "https.example.com", type: "UNKNOWN_65" }));
    expect(answer.includes(Buffer.from("000100030268320003000201bb", "hex"))).toBe(true);
  },
  "rrset.whole": () => {
    const cut = tell({ name: "wide.example.com" })!;
    expect([cut.flag_tc, cut.answers.length]).toEqual([true, 0]);
    const whole = overTcp.tell({ name: "wide.example.com" })!;
    expect([whole.flag_tc, new Set(whole.answers.map((a) => a.data)).size]).toEqual([false, 40]);
    expect(new Set(whole.answers.map((a) => a.ttl)).size).toBe(1);
  },
  "negative.soa": () => {
    for (const question of [{ name: "nobody.example.com" }, { name: "shop.example.com", type: "MX" }])
      expect(tell(question)!.authorities).toMatchObject([{ type: "SOA", name: "example.com", ttl: 30 }]);
  },
  "udp.size": () => {
    for (const edns of [undefined, 100, 512])
      expect(raw(ask({ name: "wide.example.com", edns })).length).toBeLessThanOrEqual(512);
    expect(tell({ name: "wide.example.com", edns: 65_535 })!.answers).toHaveLength(40);
    expect(raw(ask({ name: "wide.example.com", edns: 65_535 })).length).toBeLessThanOrEqual(1232);
  },
  "edns.opt": () => {
    expect(shop().additionals).toHaveLength(0);
    for (const name of ["shop.example.com", "nobody.example.com", "example.org", "wide.example.com"])
      expect(tell({ name, edns: 512 })!.additionals.map((a) => a.type)).toEqual(["OPT"]);
    expect(rcode(altered({ [-11]: 1 }, { edns: 1232 }))).toBe(1);
    // What is malformed, in the options or elsewhere, and other operations.
    const told = (bytes: Buffer) => [rcode(bytes), tell(bytes)!.additionals.map((a) => a.type)];
    const question = { edns: 1232, dnssecOk: true };
    expect(told(withOption(10, Array(7).fill(7)))).toEqual([1, ["OPT"]]);
    expect(told(withOption(200, [1, 2, 3]).subarray(0, -2))).toEqual([1, ["OPT"]]);
    expect(told(Buffer.concat([ask({ name: "shop.example.com", ...question }), Buffer.from([0])]))).toEqual([
      1,
      ["OPT"],
    ]);
    expect(told(altered({ 5: 0 }, question))).toEqual([1, []]);
    for (const opcode of [2, 5, 15]) expect(told(altered({ 2: opcode << 3 }, question))).toEqual([4, ["OPT"]]);
  },
  "edns.one": () => {
    const two = Buffer.concat([
      ask({ name: "shop.example.com", edns: 1232 }),
      Buffer.from([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]),
    ]);
    two[11] = 2;
    expect(rcode(two)).toBe(1);
  },
  "edns.version": () => {
    const got = tell(altered({ [-5]: 1 }, { edns: 1232 }))!;
    expect(got.additionals[0]).toMatchObject({ extendedRcode: 1, ednsVersion: 0 });
    expect(got.answers).toHaveLength(0);
    // What its options look like nobody knows here.
    const strange = withOption(10, Array(7).fill(7));
    strange[strange.length - 16] = 9;
    expect(tell(strange)!.additionals[0]).toMatchObject({ extendedRcode: 1, ednsVersion: 0 });
  },
  "edns.unknown": () => {
    const got = tell(withOption(200, [1, 2, 3], { dnssecOk: true }))!;
    expect(got.answers).toHaveLength(2);
    expect(got.additionals[0]).toMatchObject({ flag_do: true, options: [] });
    expect(tell(altered({ [-4]: 0x7f, [-3]: 0xff }, { edns: 1232 }))!.additionals[0]!.flags).toBe(0);
  },
  "edns.nsid": () => {
    expect(raw(withOption(3, [])).includes("lb1")).toBe(true);
    expect(raw(ask({ name: "shop.example.com", edns: 1232 })).includes("lb1")).toBe(false);
  },
  "edns.keepalive": () => {
    const tail = [0, 11, 0, 2, 0, 100];
    expect([...overTcp.raw(withOption(11, [])).subarray(-6)]).toEqual(tail);
    expect([...raw(withOption(11, [])).subarray(-2)]).toEqual([0, 0]);
    expect([...overTcp.raw(ask({ name: "shop.example.com", edns: 1232 })).subarray(-2)]).toEqual([0, 0]);
  },
  "edns.cookie": () => {
    const size = (n: number): number => rcode(withOption(10, Array(n).fill(7)));
    expect([7, 9, 15, 41].map(size)).toEqual([1, 1, 1, 1]);
    expect([8, 16, 40].map(size)).toEqual([0, 0, 0]);
  },
  "edns.cookie.server": () => {
    const made = raw(withOption(10, Array(8).fill(7))).subarray(-24);
    expect([...made.subarray(0, 12)]).toEqual([...Array(8).fill(7), 1, 0, 0, 0]);
    expect(raw(withOption(10, [...made])).subarray(-24)).toEqual(Buffer.from(made));
  },
  "edns.cookie.required": () => {
    const strict = aServer([services[0]!], [snapshots[0]!], { cookies: { require: true } });
    expect(strict.tell(withOption(10, Array(8).fill(7)))!.additionals[0]).toMatchObject({ extendedRcode: 1 });
    expect(strict.tell({ name: "shop.example.com" })!.flag_tc).toBe(true);
  },
  "edns.cookie.bare": () => {
    const whole = withOption(10, Array(8).fill(7));
    const bare = Buffer.concat([whole.subarray(0, 12), whole.subarray(-23)]);
    bare[5] = 0;
    expect([rcode(bare), raw(bare).subarray(-28, -24)]).toEqual([0, Buffer.from([0, 10, 0, 24])]);
  },
  "edns.ecs.off": () => expect(tell(withOption(8, [0, 1, 24, 9]))!.additionals[0]).toMatchObject({ options: [] }),
  "any.minimal": () => {
    expect(shop({ type: "ANY" }).answers.map((a) => a.type)).toEqual(["HINFO"]);
    expect(zone.tell({ name: "www.example.com", type: "ANY" })!.answers).toMatchObject([
      { name: "www.example.com", type: "CNAME", data: "shop.example.com" },
    ]);
  },
  "transfer.refused": () => {
    for (const type of ["AXFR", "IXFR"]) expect(overTcp.tell({ name: "example.com", type })!.rcode).toBe("REFUSED");
  },
  "reply.source": () => {
    for (const listen of ["0.0.0.0", "[::]:53"])
      expect(dns.settings!.safeParse({ listen: [listen] }).success).toBe(false);
  },
};

checked(cases);
