import { describe, expect, spyOn, test } from "bun:test";
import { aBackend, addressesOf, aServer, aService, aSnapshot, ask } from "../testing.ts";

const records = ["www CNAME shop", "text TXT hello", "shop TXT hello", "sub NS ns.sub", "ns.sub A 192.0.2.9"];

/** One address each: nothing is drawn. `heard`: how many questions the answerer has been asked. */
function someServer(more: Record<string, unknown> = {}) {
  const services = [
    aService("shop"),
    aService("six"),
    aService("star", { names: ["*.wild.example.com"] }),
    aService("near", { scheduler: { name: "source-hash", options: {} } }),
  ];
  const snapshots = services.map(({ name }) =>
    aSnapshot(name, [aBackend(0, name === "six" ? "2001:db8::1" : "192.0.2.1")]),
  );
  const given = { zones: { "example.com": { records } }, ...more };
  const server = aServer(services, snapshots, given, {}, { now: () => 0 });
  const answered = spyOn(server.answerer, "answer");
  const heard = (): number => answered.mock.calls.length;
  return { ...server, heard };
}

/** Appends options to a query's OPT, which is its last record and has none. */
function withOptions(query: Buffer, hex: string): Buffer {
  const options = Buffer.from(hex, "hex");
  const made = Buffer.concat([query, options]);
  made.writeUInt16BE(options.length, query.length - 2);
  return made;
}

const SUBNET = "0008000700011800c00002";

describe("a question that was answered is answered again with the same bytes, without the answerer", () => {
  for (const [what, name, type] of [
    ["addresses", "shop", "A"],
    ["addresses in other case", "sHOP", "A"],
    ["IPv6 addresses", "six", "AAAA"],
    ["no addresses of this kind", "shop", "AAAA"],
    ["a record beside a service", "shop", "TXT"],
    ["a record", "text", "TXT"],
    ["an alias itself", "www", "CNAME"],
    ["nothing where records are", "text", "A"],
  ] as const)
    for (const [how, edns, options] of [
      ["without EDNS", undefined, ""],
      ["with EDNS", 4096, ""],
      ["with EDNS of a small size", 100, ""],
      ["with a client subnet", 1232, SUBNET],
      ["with a subnet that must not be used", 1232, "0008000400010000"],
    ] as const)
      for (const clientSubnet of options === "" ? [false] : [false, true])
        test(`${what}, ${how}${clientSubnet ? " that is listened to" : ""}`, () => {
          const server = someServer({ clientSubnet });
          const plain = ask({ name: `${name}.example.com`, type, edns, dnssecOk: edns === 4096, flags: 0x0110 });
          const query = options === "" ? plain : withOptions(plain, options);
          const first = server.raw(query);
          const before = server.heard();
          expect(server.raw(query).toString("hex")).toBe(first.toString("hex"));
          expect(server.heard()).toBe(before);
        });
});

describe("not prepared is", () => {
  for (const [what, name, type] of [
    ["a wildcard's answer", "a.wild", "A"],
    ["what hangs on the client", "near", "A"],
    ["what is followed", "www", "A"],
    ["what is delegated away", "a.sub", "A"],
    ["a name that is not there", "nobody", "A"],
    ["a type that hardly anybody asks for, where it is not there", "shop", 777],
    ["everything", "shop", "ANY"],
  ] as const)
    test(what, () => {
      const server = someServer();
      const query = ask({ name: `${name}.example.com`, type });
      for (let i = 1; i <= 3; i++) {
        server.raw(query);
        expect(server.heard()).toBe(i);
      }
    });

  for (const [what, query] of [
    ["another class", Buffer.from(ask({ name: "shop.example.com" })).fill(3, 33)],
    ["a response", Buffer.from(ask({ name: "shop.example.com" })).fill(0x80, 2, 3)],
    ["another operation", Buffer.from(ask({ name: "shop.example.com" })).fill(0x10, 2, 3)],
    ["a later EDNS", Buffer.from(ask({ name: "shop.example.com", edns: 1232 })).fill(1, 40, 41)],
    ["a cookie", withOptions(ask({ name: "shop.example.com", edns: 1232 }), "000a00080102030405060708")],
    ["the server's id", withOptions(ask({ name: "shop.example.com", edns: 1232 }), "00030000")],
    [
      "a subnet with bits behind its prefix",
      withOptions(ask({ name: "shop.example.com", edns: 1232 }), "0008000500010401"),
    ],
    ["octets behind the question", Buffer.concat([ask({ name: "shop.example.com" }), Buffer.of(0)])],
    ["octets behind OPT", Buffer.concat([ask({ name: "shop.example.com", edns: 1232 }), Buffer.of(0)])],
    ["half a question", ask({ name: "shop.example.com" }).subarray(0, -3)],
    ["half a name", ask({ name: "shop.example.com" }).subarray(0, 20)],
  ] as const)
    test(`${what}, beside an answer to the same name`, () => {
      const server = someServer({ clientSubnet: true });
      for (const edns of [undefined, 1232]) server.raw(ask({ name: "shop.example.com", edns }));
      const before = server.heard();
      server.raw(query);
      expect(server.heard()).toBe(before + 1);
    });
});

test("a service's change is in the next answer, and the questions are counted", () => {
  const server = someServer();
  const query = ask({ name: "shop.example.com" });
  for (let i = 0; i < 3; i++) expect(addressesOf(server.raw(query))).toEqual(["192.0.2.1"]);
  server.change(aSnapshot("shop", [aBackend(0, "192.0.2.1", { state: "down" }), aBackend(1, "192.0.2.7")], 2));
  expect(addressesOf(server.raw(query))).toEqual(["192.0.2.7"]);
  expect(server.heard()).toBe(1);
  server.change(aSnapshot("shop", [aBackend(1, "192.0.2.7", { state: "down" })], 3));
  // All down: all in turn, which is for the answerer.
  for (let i = 0; i < 2; i++) expect(addressesOf(server.raw(query))).toEqual(["192.0.2.7"]);
  expect(server.heard()).toBe(3);
  expect(server.doors.counts.get("shop/-1/requests")).toBe(6);
  expect(server.doors.counts.get("shop/0/requests")).toBe(3);
  expect(server.doors.counts.get("shop/1/requests")).toBe(3);
});

test("another serial is in the next negative answer", () => {
  const server = someServer();
  const serials = [1, 1, 2].map((serial) => {
    server.site.renumber(serial);
    const answer = server.raw(ask({ name: "shop.example.com", type: "AAAA" }));
    return answer.readUInt32BE(answer.length - 20);
  });
  expect(serials).toEqual([1, 1, 2]);
});

test("what does not fit is truncated, and fits again for who takes more", () => {
  const backends = Array.from({ length: 40 }, (_, i) => aBackend(i, `192.0.2.${i}`));
  const server = aServer([aService("many")], [aSnapshot("many", backends)]);
  const [small, large] = [ask({ name: "many.example.com" }), ask({ name: "many.example.com", edns: 1232 })];
  for (let i = 0; i < 3; i++) {
    expect(server.raw(large).readUInt16BE(6)).toBe(40);
    expect(server.raw(small).readUInt16BE(2) & 0x0200).toBe(0x0200);
  }
});

test("a prepared answer is limited as any other", () => {
  const server = someServer({ rateLimit: { perSecond: 2, slip: 2 } });
  const query = ask({ name: "shop.example.com" });
  const lengths = Array.from({ length: 6 }, () => server.raw(query).length);
  expect(lengths).toEqual([50, 50, 0, 34, 0, 34]);
  expect(server.counted("SLUICE_DNS_LIMITED")).toBe(4);
});
