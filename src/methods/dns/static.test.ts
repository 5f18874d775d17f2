import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { judgeTogether } from "./judge.ts";
import { settings } from "./options.ts";
import { aBackend, aServer, aService, aSnapshot, someSettings } from "./testing.ts";

const records = `
@       SOA   ns1 admin.example.com. 42 1h 10m 2w 120
@       NS    ns1
@       NS    ns.other.net.
@       MX    10 mail
ns1     A     192.0.2.53
mail    300 A 192.0.2.25
www     CNAME shop
web     CNAME www
out     CNAME www.other.net.
gone    CNAME nothing
self    CNAME self
one     CNAME two
two     CNAME one
*.wild  TXT   "any"
*.alias CNAME mail
old     DNAME new
a.new   A     192.0.2.44
sub     NS    ns.sub
sub     NS    ns1
sub     DS    1 13 2 00112233
ns.sub  A     192.0.2.60
away    CNAME host.sub
deep.in A     192.0.2.70
_s._tcp SRV   1 2 443 mail
odd     TYPE65280 \\# 3 010203
`;
const shop = aService("shop", { dns: { ttl: "10s" } });
const backends = [aBackend(0, "198.51.100.1"), aBackend(1, "198.51.100.2")];
const zones = { "example.com": { records }, "inner.example.com": { records: ["x A 192.0.2.99"] } };
const server = aServer([shop], [aSnapshot("shop", backends)], { zones });
const long = "x".repeat(63);

/** `rcode aa | answers | authority | additional`, each record `name type data`. */
function ask(name: string, type = "A", edns?: number): string {
  const got = server.tell({ name: `${name}.example.com`.replace(/^\.|^@\./, ""), type, edns })!;
  const text = (r: { name: string; type: string; data?: unknown }): string => {
    const data = r.data as { target?: string; mname?: string } | string;
    const said = typeof data === "string" ? data : r.type === "SOA" ? data.mname : JSON.stringify(data);
    return `${r.name} ${r.type} ${said}`.replaceAll(".example.com", "");
  };
  const sections = [got.answers, got.authorities, got.additionals.filter((a) => a.type !== "OPT")];
  return [`${got.rcode}${got.flag_aa ? " aa" : ""}`, ...sections.map((s) => s.map(text).join(", "))].join(" | ");
}
const soa = "example.com SOA ns1";

describe("records beside services", () => {
  test.each([
    ["mail", "A", "NOERROR aa | mail A 192.0.2.25 |  | "],
    ["mail", "AAAA", `NOERROR aa |  | ${soa} | `],
    ["deep.in", "A", "NOERROR aa | deep.in A 192.0.2.70 |  | "],
    ["in", "A", `NOERROR aa |  | ${soa} | `],
    ["nothing", "A", `NXDOMAIN aa |  | ${soa} | `],
    ["x.mail", "A", `NXDOMAIN aa |  | ${soa} | `],
    ["@", "NS", "NOERROR aa | example.com NS ns1, example.com NS ns.other.net |  | ns1 A 192.0.2.53"],
    ["ns1", "A", "NOERROR aa | ns1 A 192.0.2.53 |  | "],
    // aliases
    ["www", "CNAME", "NOERROR aa | www CNAME shop |  | "],
    ["out", "A", "NOERROR aa | out CNAME www.other.net |  | "],
    ["gone", "A", `NXDOMAIN aa | gone CNAME nothing | ${soa} | `],
    ["web", "MX", `NOERROR aa | web CNAME www, www CNAME shop | ${soa} | `],
    ["self", "A", "NOERROR aa | self CNAME self |  | "],
    ["x.alias", "A", "NOERROR aa | x.alias CNAME mail, mail A 192.0.2.25 |  | "],
    ["a.old", "A", "NOERROR aa | old DNAME new, a.old CNAME a.new, a.new A 192.0.2.44 |  | "],
    ["b.old", "A", `NXDOMAIN aa | old DNAME new, b.old CNAME b.new | ${soa} | `],
    ["a.old", "CNAME", "NOERROR aa | old DNAME new, a.old CNAME a.new |  | "],
    ["old", "A", `NOERROR aa |  | ${soa} | `],
    ["old", "DNAME", "NOERROR aa | old DNAME new |  | "],
    // delegation
    ["host.sub", "A", "NOERROR |  | sub NS ns.sub, sub NS ns1 | ns.sub A 192.0.2.60, ns1 A 192.0.2.53"],
    ["sub", "A", "NOERROR |  | sub NS ns.sub, sub NS ns1 | ns.sub A 192.0.2.60, ns1 A 192.0.2.53"],
    ["ns.sub", "A", "NOERROR |  | sub NS ns.sub, sub NS ns1 | ns.sub A 192.0.2.60, ns1 A 192.0.2.53"],
    ["a.b.sub", "ANY", "NOERROR |  | sub NS ns.sub, sub NS ns1 | ns.sub A 192.0.2.60, ns1 A 192.0.2.53"],
    [
      "away",
      "A",
      "NOERROR aa | away CNAME host.sub | sub NS ns.sub, sub NS ns1 | ns.sub A 192.0.2.60, ns1 A 192.0.2.53",
    ],
    ["x.inner", "A", "NOERROR aa | x.inner A 192.0.2.99 |  | "],
  ])("%s %s", (name, type, answer) => expect(ask(name, type)).toBe(answer));

  test("an alias of a service: its addresses in turn, under its name, with its TTL", () => {
    const firsts = Array.from({ length: 4 }, () => {
      const { answers } = server.tell({ name: "web.example.com" })!;
      expect(answers.slice(0, 2).map((a) => [a.name, a.type])).toEqual([
        ["web.example.com", "CNAME"],
        ["www.example.com", "CNAME"],
      ]);
      expect(answers.slice(2).map((a) => [a.name, a.ttl])).toEqual(Array(2).fill(["shop.example.com", 10]));
      return answers[2]!.data as string;
    });
    expect(new Set(firsts)).toEqual(new Set(["198.51.100.1", "198.51.100.2"]));
    expect(server.doors.counts.get("shop/-1/requests")).toBeGreaterThanOrEqual(4);
  });

  test("aliases that go round end, whatever the entry", () => {
    const { answers, rcode } = server.tell({ name: "one.example.com" })!;
    expect([rcode, answers.length > 1, answers.length < 20]).toEqual(["NOERROR", true, true]);
  });

  test("a DNAME that leads to itself, or acts twice, stands in the answer once (RFC 2181 5)", () => {
    const { tell } = aServer([shop], [aSnapshot("shop", backends)], {
      zones: { "example.com": { records: "b.a DNAME a\na.a A 192.0.2.1" } },
    });
    const typesOf = (name: string, type: string) => tell({ name, type })!.answers.map((a) => a.type);
    expect(typesOf("b.b.a.example.com", "DNAME")).toEqual(["DNAME", "CNAME"]);
    expect(typesOf("a.b.b.a.example.com", "A")).toEqual(["DNAME", "CNAME", "CNAME", "A"]);
  });
  test("a DNAME whose name becomes too long is YXDOMAIN", () => {
    const server2 = aServer([shop], [aSnapshot("shop", backends)], {
      zones: { "example.com": { records: `old DNAME ${long}.${long}` } },
    });
    const got = server2.tell({ name: `${long}.${long}.old.example.com` })!;
    expect([got.rcode, got.answers.length]).toEqual(["YXDOMAIN", 1]);
  });

  test("a wildcard, types without a name, SRV", () => {
    expect(server.tell({ name: "q.wild.example.com", type: "TXT" })!.answers).toMatchObject([
      { name: "q.wild.example.com", type: "TXT" },
    ]);
    expect(ask("q.wild", "A")).toBe(`NOERROR aa |  | ${soa} | `);
    expect(server.tell({ name: "odd.example.com", type: "UNKNOWN_65280" })!.answers).toHaveLength(1);
    expect(server.tell({ name: "_s._tcp.example.com", type: "SRV" })!.answers[0]).toMatchObject({
      data: { port: 443, target: "mail.example.com" },
    });
  });

  test("the zone's own SOA stands in negative answers; DS at the cut is the parent's", () => {
    const { authorities } = server.tell({ name: "nothing.example.com" })!;
    expect(authorities[0]).toMatchObject({ ttl: 120, data: { serial: 42 } });
    expect(server.tell({ name: "sub.example.com", type: "DS" })!).toMatchObject({ flag_aa: true, rcode: "NOERROR" });
    expect(server.tell({ name: "sub.example.com", type: "DS" })!.answers).toHaveLength(1);
    expect(server.tell({ name: "x.sub.example.com", type: "DS" })!.authorities[0]!.type).toBe("NS");
  });

  test("negative.soa: either of the SOA's TTL and MINIMUM may be the smaller one, also at the end of an alias", () => {
    const soaOf = (ttl: number, minimum: number, name: string) => {
      const written = [
        `@ ${ttl} SOA ns1 admin 42 1h 10m 2w ${minimum}`,
        "@ NS ns1",
        "ns1 A 192.0.2.53",
        "gone CNAME nothing",
      ];
      const { tell } = aServer([shop], [aSnapshot("shop", backends)], {
        zones: { "example.com": { records: written } },
      });
      return tell({ name: `${name}.example.com`, type: "TXT" })!.authorities;
    };
    for (const name of ["nothing", "ns1", "gone"]) {
      expect(soaOf(9, 120, name)).toMatchObject([{ type: "SOA", ttl: 9 }]);
      expect(soaOf(120, 9, name)).toMatchObject([{ type: "SOA", ttl: 9 }]);
    }
  });

  test("a referral whose glue does not fit is truncated, one whose other addresses do not is not", () => {
    const many = Array.from({ length: 30 }, (_, i) => `sub NS ns${i}.sub\nns${i}.sub A 192.0.2.${i + 1}`).join("\n");
    const other = Array.from({ length: 16 }, (_, i) => `far NS n${i}\nn${i} A 192.0.2.${i + 1}`).join("\n");
    const wide = aServer([shop], [aSnapshot("shop", backends)], {
      zones: { "example.com": { records: `${many}\n${other}` } },
    });
    expect(wide.tell({ name: "x.sub.example.com" })!).toMatchObject({
      flag_tc: true,
      flag_aa: false,
      authorities: [],
    });
    const sibling = wide.tell({ name: "x.far.example.com" })!;
    expect([sibling.flag_tc, sibling.authorities.length, sibling.additionals.length < 16]).toEqual([false, 16, true]);
  });
});

describe("configuration", () => {
  const faults = (given: object): string[] =>
    (settings.safeParse({ listen: ["127.0.0.1"], zones: { "example.com": given } }).error?.issues ?? []).map(
      (issue) => `${issue.path.join(".")} ${issue.message}`,
    );
  test.each([
    ["a CNAME x\na A 192.0.2.1", "CNAME and other"],
    ["@ CNAME x", "cannot be a CNAME"],
    ["a CNAME x\na CNAME y", "more than one CNAME"],
    ["a.org. A 192.0.2.1", "is not within"],
    ["a SOA b c 1 1 1 1 1", "own name"],
    ["s NS ns.s", "has no address"],
    ["s NS x.org.\na.s TXT t", "delegated away"],
    ["d DNAME x\na.d A 192.0.2.1", "below a DNAME"],
    ["*.s NS x.org.", "wildcard"],
  ])("%s", (text, message) => expect(faults({ records: text }).join("\n")).toContain(message));

  test("a set that no message holds", () => {
    const records = (count: number) => Array.from({ length: count }, (_, i) => `many A 10.0.${i >> 8}.${i & 255}`);
    expect(faults({ records: records(4001) })[0]).toContain("many.example.com: its A take 64016 octets");
    expect(faults({ records: records(4000) })).toEqual([]);
  });

  test("a file, with what it includes, and records beside it; a file that is not there", () => {
    const directory = mkdtempSync(join(tmpdir(), "sluice-zone-"));
    try {
      const file = join(directory, "zone.db");
      writeFileSync(file, "$TTL 60\n@ SOA ns admin 9 1 1 1 1\n@ NS ns\n$INCLUDE more.db\n");
      writeFileSync(join(directory, "more.db"), "ns A 192.0.2.53\nbad A x\n");
      expect(faults({ file })[0]).toContain(`zones.example.com.file ${join(directory, "more.db")}:2: A:`);
      writeFileSync(join(directory, "more.db"), "ns A 192.0.2.53\n");
      const given = someSettings({ zones: { "example.com": { file, records: ["a A 192.0.2.1"] } } });
      expect(given.zones[0]!.lines).toHaveLength(4);
      expect(settings.encode(given).zones).toEqual({ "example.com": { file, records: ["a A 192.0.2.1"] } });
      expect(settings.parse(settings.encode(given))).toEqual(given);
    } finally {
      rmSync(directory, { recursive: true });
    }
    expect(faults({ file: "/none/zone.db" })[0]).toContain("There is no file /none/zone.db.");
  });

  test("what may have no end is no file, and octets that are no text are not guessed at", () => {
    const directory = mkdtempSync(join(tmpdir(), "sluice-zone-"));
    try {
      const file = join(directory, "zone.db");
      expect(faults({ records: "$INCLUDE /dev/zero" })[0]).toContain("/dev/zero is no file");
      expect(faults({ file: directory })[0]).toContain(`${directory} is no file.`);
      writeFileSync(file, Buffer.from('a TXT "caf\xe9"', "latin1"));
      expect(faults({ file })[0]).toContain(`${file} is not UTF-8: write other octets as \\DDD.`);
      writeFileSync(file, '\ufeff@ 60 TXT "café"');
      expect(faults({ file })).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("a service at a name that the records take away", () => {
    const given = someSettings({ zones });
    for (const name of ["www.example.com", "mail.example.com", "x.sub.example.com", "x.old.example.com"])
      expect(judgeTogether([aService("a", { names: [name] })], given)).toMatchObject([{ path: ["a", "names", 0] }]);
    expect(judgeTogether([shop], given)).toEqual([]);
  });
});
