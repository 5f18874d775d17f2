/** Rules of the checklist where they end: the last size, name and bit that passes, and the first that does not; over UDP and TCP. */
import { describe, expect, test } from "bun:test";
import { nameToWire } from "../../protocols/dns/name.ts";
import { signMessage } from "../../protocols/dns/tsig-client.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "./testing.ts";

const secret = Buffer.alloc(32, 5);
const label = (octets: number): string => "x".repeat(octets);
const referral = Array.from({ length: 20 }, (_, i) => [`sub NS n${i}.sub`, `n${i}.sub A 192.0.2.${i + 1}`]).flat();
const settings = {
  zones: { "example.com": { records: [...referral, `old DNAME ${label(63)}`, "many CNAME s27"] } },
  tsigKeys: { "peer.example": { secret: secret.toString("base64") } },
};
/** `sN` has N addresses: 17 octets of name with two digits, 16 a record. */
const services = [27, 28, 74, 75].map((count) => aService(`s${count}`));
const snapshots = services.map(({ name }) =>
  aSnapshot(
    name,
    Array.from({ length: Number(name.slice(1)) }, (_, i) => aBackend(i, `192.0.2.${i + 1}`)),
  ),
);
const udp = aServer(services, snapshots, settings);
const tcp = aServer(services, snapshots, settings, { tcp: true });

describe.each([
  ["UDP", udp],
  ["TCP", tcp],
])("over %s", (_way, { raw }) => {
  test.each(["s27", "many", "nobody"])("header.flags, header.echo: of %s only RD and CD come back", (name) => {
    const bits = (flags: number): number => raw(ask({ name: `${name}.example.com`, flags })).readUInt16BE(2) & 0x07f0;
    expect([0x0400, 0x0200, 0x0100, 0x0080, 0x0040, 0x0020, 0x0010].map(bits)).toEqual([
      0x0400, 0x0400, 0x0500, 0x0400, 0x0400, 0x0400, 0x0410,
    ]);
  });

  test("question.class: none but IN, be it ANY or NONE", () => {
    const refused = [0, 2, 3, 4, 254, 255, 65_535].map((klass) => {
      const bytes = ask({ name: "s27.example.com" });
      bytes.writeUInt16BE(klass, bytes.length - 2);
      return raw(bytes)[3]! & 15;
    });
    expect(refused).toEqual(Array(7).fill(5));
  });

  test("lookup.dname.long: a name of 255 octets is made, one of 256 is YXDOMAIN", () => {
    const of = (octets: number): number => {
      const [first, second] = [label(63), label(63)];
      // The target has 64 octets, the rest of the zone's name 13.
      const third = label(octets - 64 - 13 - 64 - 64 - 1);
      return raw(ask({ name: `${first}.${second}.${third}.old.example.com`, edns: 1232 }))[3]! & 15;
    };
    expect([of(255), of(256)]).toEqual([3, 6]);
  });
});

const tell = (name: string, edns?: number) => {
  const got = udp.tell({ name: `${name}.example.com`, ...(edns === undefined ? {} : { edns }) })!;
  return got.flag_tc ? "truncated" : got.answers.filter(({ type }) => type === "A").length;
};

test("udp.size: less than 512 counts as 512, and more than 1232 as 1232", () => {
  expect([0, 100, 511, 512].map((edns) => tell("s27", edns))).toEqual(Array(4).fill(27));
  expect([0, 100, 511].map((edns) => tell("many", edns))).toEqual([
    tell("many", 512),
    tell("many", 512),
    tell("many", 512),
  ]);
  expect([tell("s74", 65_535), tell("s75", 65_535), tell("s75", 1233)]).toEqual([74, "truncated", "truncated"]);
});

test("udp.size, tsig.answer: what fits only without its signature is truncated", () => {
  const key = { name: nameToWire("peer.example")!, algorithm: "hmac-sha256" as const, secret: Uint8Array.from(secret) };
  const asked = signMessage(ask({ name: "s28.example.com" }), key, Math.floor(Date.now() / 1000));
  const answer = udp.raw(asked.bytes);
  expect(tell("s28")).toBe(28);
  expect([answer[2]! & 2, answer[3]! & 15, answer.length <= 512]).toEqual([2, 0, true]);
});

test("lookup.cut: NS that fit beside glue that does not are no referral but TC (RFC 9471 3)", () => {
  const [brief, whole] = [udp, tcp].map(({ tell }) => tell({ name: "a.sub.example.com" })!);
  expect([brief!.flag_tc, brief!.flag_aa, brief!.authorities]).toEqual([true, false, []]);
  expect([whole!.flag_tc, whole!.authorities.length, whole!.additionals.length]).toEqual([false, 20, 20]);
});
