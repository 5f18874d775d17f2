import { describe, expect, test } from "bun:test";
import type { Backend } from "../../core/backend.ts";
import { aBackend, addressesOf, aServer, aService, aSnapshot, ask } from "./testing.ts";

const backends = [aBackend(0, "10.0.1.210"), aBackend(1, "10.0.1.211"), aBackend(2, "2001:db8::1")];
const services = [
  aService("shop"),
  aService("only4"),
  aService("deep", { names: ["a.b.deep.example.com"] }),
  aService("star", { names: ["*.wild.example.com", "real.wild.example.com"] }),
  aService("other", { names: ["www.example.net"] }),
  aService("apex", { names: ["child.example.com"] }),
];
const two = [aBackend(0, "192.0.2.1"), aBackend(1, "192.0.2.2")];
const server = aServer(
  services,
  services.map((s) => aSnapshot(s.name, s.name === "shop" ? backends : two)),
  { zones: ["example.com", "child.example.com"], listen: ["127.0.0.1:53", "[::1]:53"] },
  { nsid: new TextEncoder().encode("lb1") },
);
const { tell } = server;
const answer = (name: string, type = "A") => tell({ name, type })!;
const soaOwner = (name: string, type = "A") => answer(name, type).authorities[0]?.name;

describe("lookup (RFC 1034 4.3.2, 2308, 4592, 8020)", () => {
  test("a served name has its A and AAAA", () => {
    expect(
      answer("shop.example.com")
        .answers.map((a) => a.data as string)
        .toSorted(),
    ).toEqual(["10.0.1.210", "10.0.1.211"]);
    expect(answer("shop.example.com", "AAAA").answers.map((a) => a.data)).toEqual(["2001:db8::1"]);
    expect(answer("shop.example.com").answers[0]!.ttl).toBe(30);
    expect(answer("shop.example.com").flag_aa).toBe(true);
  });
  test("another type at a served name: NODATA with SOA, no longer than the TTL of answers", () => {
    for (const type of ["MX", "TXT", "HTTPS", "UNKNOWN_666", "AAAA"]) {
      const got = type === "UNKNOWN_666" ? rawType("only4.example.com", 666) : answer("only4.example.com", type);
      expect(got.rcode).toBe("NOERROR");
      expect(got.answers).toHaveLength(0);
      expect(got.authorities.map((a) => [a.type, a.name, a.ttl])).toEqual([["SOA", "example.com", 30]]);
    }
  });
  test("NXDOMAIN with SOA below a zone, also below a served name", () => {
    for (const name of ["nobody.example.com", "x.shop.example.com", "c.b.deep.example.com"]) {
      expect(answer(name).rcode).toBe("NXDOMAIN");
      expect(soaOwner(name)).toBe("example.com");
    }
  });
  test("an empty non-terminal exists", () => {
    expect(answer("b.deep.example.com").rcode).toBe("NOERROR");
    expect(answer("deep.example.com").rcode).toBe("NOERROR");
    expect(answer("deep.example.com").authorities).toHaveLength(1);
  });
  test("a wildcard answers what does not exist below it, from the closest encloser only", () => {
    expect(answer("any.wild.example.com").answers).toHaveLength(2);
    expect(answer("any.wild.example.com").answers[0]!.name).toBe("any.wild.example.com");
    expect(answer("x.y.wild.example.com").answers).toHaveLength(2);
    expect(answer("*.wild.example.com").answers).toHaveLength(2);
    expect(answer("wild.example.com").answers).toHaveLength(0);
    expect(answer("x.real.wild.example.com").rcode).toBe("NXDOMAIN");
    expect(answer("any.wild.example.com", "MX").authorities).toHaveLength(1);
  });
  test("outside all zones: REFUSED, without authority", () => {
    for (const name of ["example.org", "com", ".", "badexample.com"]) {
      const got = answer(name);
      expect([got.rcode, got.flag_aa, got.authorities.length]).toEqual(["REFUSED", false, 0]);
    }
  });
  test("a name outside the configured zones makes a zone of its parent", () => {
    expect(answer("example.net", "SOA").answers[0]!.name).toBe("example.net");
    expect(answer("nobody.example.net").rcode).toBe("NXDOMAIN");
  });
  test("the innermost zone answers; DS of its apex comes from the outer one", () => {
    expect(soaOwner("child.example.com", "MX")).toBe("child.example.com");
    expect(answer("child.example.com").answers).toHaveLength(2);
    expect(soaOwner("child.example.com", "DS")).toBe("example.com");
    expect(soaOwner("example.com", "DS")).toBe("example.com");
  });
  test("SOA and NS at the apex, the name server's addresses in the zone", () => {
    const soa = answer("example.com", "SOA").answers[0]!.data as Record<string, unknown>;
    expect(soa).toMatchObject({ mname: "ns.example.com", rname: "hostmaster.example.com", serial: 1, minimum: 30 });
    const ns = answer("example.com", "NS");
    expect(ns.answers.map((a) => a.data)).toEqual(["ns.example.com"]);
    expect(ns.additionals.map((a) => a.data)).toEqual(["127.0.0.1", "::1"]);
    expect(answer("ns.example.com").answers.map((a) => a.data)).toEqual(["127.0.0.1"]);
    expect(answer("ns.example.com", "AAAA").answers.map((a) => a.data)).toEqual(["::1"]);
    expect(answer("example.com").rcode).toBe("NOERROR");
  });
  test("ANY gets one HINFO (RFC 8482), AXFR is refused, meta types are not offered", () => {
    expect(answer("shop.example.com", "ANY").answers.map((a) => a.type)).toEqual(["HINFO"]);
    expect(answer("nobody.example.com", "ANY").rcode).toBe("NXDOMAIN");
    expect(answer("example.com", "AXFR").rcode).toBe("REFUSED");
    expect(rawType("example.com", 249).rcode).toBe("NOTIMP");
    expect(rawType("example.com", 41).rcode).toBe("FORMERR");
  });
});

function rawType(name: string, type: number) {
  const bytes = ask({ name });
  bytes.writeUInt16BE(type, bytes.length - 4);
  return tell(bytes)!;
}

describe("header and EDNS (RFC 1035, 2181, 4343, 6891, 8906)", () => {
  test("id, RD and CD come back; AA, QR set; RA, Z, AD, TC of the client do not", () => {
    const got = tell({ name: "shop.example.com", id: 65535, flags: 0x07f0 })!;
    expect(got.id).toBe(65535);
    expect([got.flag_rd, got.flag_cd, got.flag_aa]).toEqual([true, true, true]);
    expect([got.flag_ra, got.flag_z, got.flag_ad, got.flag_tc]).toEqual([false, false, false, false]);
  });
  test("the question's case is echoed, the match has none", () => {
    const got = answer("sHoP.ExAmPlE.cOm");
    expect(got.questions[0]!.name).toBe("sHoP.ExAmPlE.cOm");
    expect(got.answers).toHaveLength(2);
  });
  test("OPT only when asked with OPT; DO is echoed, unknown options are not", () => {
    expect(answer("shop.example.com").additionals).toHaveLength(0);
    const got = tell({ name: "shop.example.com", edns: 4096, dnssecOk: true })!;
    expect(got.additionals).toMatchObject([{ type: "OPT", udpPayloadSize: 1232, flag_do: true, options: [] }]);
    for (const name of ["nobody.example.com", "example.org"])
      expect(tell({ name, edns: 1232 })!.additionals).toHaveLength(1);
  });
  test("a later EDNS version: BADVERS, version 0, no answer", () => {
    const bytes = ask({ name: "shop.example.com", edns: 1232 });
    bytes[bytes.length - 5] = 1;
    const got = tell(bytes)!;
    expect(got.additionals[0]).toMatchObject({ extendedRcode: 1, ednsVersion: 0 });
    expect([got.rcode, got.answers.length]).toEqual(["NOERROR", 0]);
  });
  test("other classes are refused, other operations not offered, responses not answered", () => {
    const chaos = ask({ name: "shop.example.com" });
    chaos[chaos.length - 1] = 3;
    expect(tell(chaos)!.rcode).toBe("REFUSED");
    for (const opcode of [1, 2, 4, 5, 6, 15]) {
      const bytes = ask({ name: "shop.example.com" });
      bytes[2] = opcode << 3;
      expect(server.raw(bytes)[3]! & 15).toBe(4);
      expect((server.raw(bytes)[2]! >> 3) & 15).toBe(opcode);
    }
    const response = ask({ name: "shop.example.com" });
    response[2] = 0x80;
    expect(tell(response)).toBeNull();
  });
  test("the server's name when it is asked for (RFC 5001)", () => {
    const bytes = Buffer.concat([ask({ name: "shop.example.com", edns: 1232 }), Buffer.from([0, 3, 0, 0])]);
    bytes[bytes.length - 5] = 4;
    expect(server.raw(bytes).toString("latin1")).toContain("lb1");
  });
});

describe("backends", () => {
  const states = (list: [Backend["state"], number?][], dns: object = {}) => {
    const service = aService("shop", { dns });
    const all = list.map(([state, weight = 1], i) => aBackend(i, `192.0.2.${i}`, { state, weight }));
    return aServer([service], [aSnapshot("shop", all)]);
  };
  const addresses = (s: ReturnType<typeof states>): string[] =>
    s
      .tell({ name: "shop.example.com" })!
      .answers.map((a) => a.data as string)
      .toSorted();

  test("down, draining, in maintenance or without weight: not answered", () => {
    expect(addresses(states([["up"], ["down"], ["draining"], ["maintenance"], ["unchecked"], ["up", 0]]))).toEqual([
      "192.0.2.0",
      "192.0.2.4",
    ]);
  });
  test("all down: all that only their check keeps out, in turn", () => {
    const s = states([["down"], ["draining"], ["down"], ["maintenance"]]);
    expect(addresses(s)).toEqual(["192.0.2.0", "192.0.2.2"]);
    const firsts = [1, 2, 3, 4].map(() => s.tell({ name: "shop.example.com" })!.answers[0]!.data);
    expect(new Set(firsts).size).toBe(2);
  });
  test("all down, by rule: NODATA or SERVFAIL; and nobody at all is SERVFAIL", () => {
    const nodata = states([["down"]], { empty: "nodata" }).tell({ name: "shop.example.com" })!;
    expect([nodata.rcode, nodata.answers.length, nodata.authorities.length]).toEqual(["NOERROR", 0, 1]);
    expect(states([["down"]], { empty: "servfail" }).tell({ name: "shop.example.com" })!.rcode).toBe("SERVFAIL");
    const drained = states([["draining"]]);
    expect(drained.tell({ name: "shop.example.com" })!.rcode).toBe("SERVFAIL");
    expect(drained.tell({ name: "shop.example.com", type: "MX" })!.rcode).toBe("NOERROR");
    expect(drained.doors.counts.get("shop/-1/errors")).toBe(1);
  });
  test("ports do not matter: one address is one record", () => {
    const service = aService("shop");
    const s = aServer(
      [service],
      [aSnapshot("shop", [aBackend(0, "192.0.2.1", { port: 1 }), aBackend(1, "192.0.2.1", { port: 2 })])],
    );
    expect(addressesOf(s.raw(ask({ name: "shop.example.com" })))).toEqual(["192.0.2.1"]);
  });
  test("no more than `answers`", () => {
    const s = states([["up"], ["up"], ["up"]], { answers: 1 });
    const seen = [1, 2, 3].map(() => addressesOf(s.raw(ask({ name: "shop.example.com" }))));
    expect(seen.every((a) => a.length === 1)).toBe(true);
    expect(new Set(seen.flat()).size).toBe(3);
  });
  test("draining takes an address out at once, and the end of it brings it back", () => {
    const service = aService("shop");
    const [a, b] = [aBackend(0, "192.0.2.1"), aBackend(1, "192.0.2.2")];
    const s = aServer([service], [aSnapshot("shop", [a, b])]);
    s.change(aSnapshot("shop", [a, { ...b, state: "draining" }], 2));
    expect(addresses(s)).toEqual(["192.0.2.1"]);
    s.change(aSnapshot("shop", [a, b], 3));
    expect(addresses(s)).toEqual(["192.0.2.1", "192.0.2.2"]);
  });
  test("a backend of the other family may come later", () => {
    const service = aService("shop");
    const s = aServer([service], [aSnapshot("shop", [aBackend(0, "192.0.2.1")])]);
    s.change(aSnapshot("shop", [aBackend(0, "192.0.2.1"), aBackend(1, "2001:db8::1")], 2));
    expect(s.tell({ name: "shop.example.com", type: "AAAA" })!.answers).toHaveLength(1);
  });
});

describe("first places follow the weights", () => {
  const shares = (s: ReturnType<typeof aServer>, rounds: number, types: string[]): Record<string, number> => {
    const first: Record<string, number> = {};
    for (let i = 0; i < rounds; i++) {
      for (const type of types) {
        const address = addressesOf(s.raw(ask({ name: "shop.example.com", type })))[0]!;
        first[address] = (first[address] ?? 0) + 1;
      }
    }
    return first;
  };
  test("1:2:3 within 1 % over 100,000 answers", () => {
    const all = [1, 2, 3].map((weight, i) => aBackend(i, `192.0.2.${i}`, { weight }));
    const s = aServer([aService("shop")], [aSnapshot("shop", all)]);
    const bytes = ask({ name: "shop.example.com" });
    const first = [0, 0, 0];
    for (let i = 0; i < 100_000; i++) first[s.raw(bytes)[12 + 22 + 15]!]!++;
    for (const [i, count] of first.entries()) expect(Math.abs(count / 100_000 - (i + 1) / 6)).toBeLessThan(0.01);
    expect(s.doors.counts.get("shop/2/requests")).toBe(first[2]!);
  });
  test("also when resolvers ask for A and AAAA in pairs", () => {
    const all = [
      aBackend(0, "192.0.2.1"),
      aBackend(1, "192.0.2.2"),
      aBackend(2, "2001:db8::1"),
      aBackend(3, "2001:db8::2", { weight: 3 }),
    ];
    const s = aServer([aService("shop")], [aSnapshot("shop", all)]);
    expect(shares(s, 400, ["A", "AAAA"])).toEqual({
      "192.0.2.1": 200,
      "192.0.2.2": 200,
      "2001:db8::1": 100,
      "2001:db8::2": 300,
    });
  });
  test("source-hash gives one client one first address, and clients all addresses", () => {
    const service = aService("shop", { scheduler: { name: "source-hash", options: {} } });
    const s = aServer(
      [service],
      [
        aSnapshot(
          "shop",
          [1, 2, 3, 4].map((i) => aBackend(i, `192.0.2.${i}`)),
        ),
      ],
    );
    const first = (client: string) => s.tell({ name: "shop.example.com" }, client)!.answers[0]!.data;
    const clients = Array.from({ length: 200 }, (_, i) => (i % 2 ? `198.51.${i}.7` : `2001:db8:${i}::7`));
    for (const client of clients) expect(first(client)).toBe(first(client));
    expect(new Set(clients.map(first)).size).toBe(4);
    // A network is one client: /24 and /56 unless another is written.
    expect(new Set(["198.51.100.1", "198.51.100.77", "198.51.100.254"].map(first)).size).toBe(1);
    expect(new Set(["2001:db8::1", "2001:db8:0:ff::2"].map(first)).size).toBe(1);
  });
});
