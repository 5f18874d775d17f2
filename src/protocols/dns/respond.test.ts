import { describe, expect, test } from "bun:test";
import packet from "dns-packet";
import fc from "fast-check";
import { addressOctets } from "../../core/address.ts";
import { nameToWire, wireToName } from "./name.ts";
import { Rcode, Type } from "./numbers.ts";
import { parseQuery, Query } from "./query.ts";
import { soaRdata } from "./rdata.ts";
import { plainUdp, writeBare, writeTemplate } from "./respond.ts";
import { TemplateBuilder } from "./template.ts";

const wire = (name: string): Uint8Array => nameToWire(name)!;
const apex = wire("example.com");
const soa = {
  primary: wire("ns1.example.com"),
  admin: wire("hostmaster.example.com"),
  serial: 4_000_000_000,
  refresh: 1,
  retry: 2,
  expire: 3,
  minimum: 30,
};
const out = Buffer.alloc(65535);

function respond(name: string, edns: number | null, build: (b: TemplateBuilder) => TemplateBuilder, rcode: number) {
  const bytes = packet.encode({
    id: 5,
    type: "query",
    flags: packet.RECURSION_DESIRED,
    questions: [{ name, type: "A" }],
    additionals: edns === null ? [] : [{ type: "OPT", name: ".", udpPayloadSize: edns, options: [] }],
  });
  const query = new Query();
  expect(parseQuery(query, bytes, bytes.length)).toBe("query");
  const at = query.labelAt[query.labels - 2]!;
  const length = writeTemplate(out, query, plainUdp, build(new TemplateBuilder(apex)).build(rcode), at);
  return { length, answer: packet.decode(Buffer.from(out.subarray(0, length))) };
}

describe("a prebuilt answer", () => {
  test("is right below any question of its zone: names point into the question", () => {
    const prefix = fc.stringMatching(/^[a-zA-Z0-9]{1,40}(\.[a-z0-9]{1,20}){0,3}$/);
    fc.assert(
      fc.property(prefix, fc.boolean(), (first, edns) => {
        const name = `${first}.eXample.com`;
        const build = (b: TemplateBuilder) =>
          b
            .record("authority", apex, Type.SOA, 30, soaRdata(soa))
            .record("additional", wire("ns1.example.com"), Type.A, 60, [addressOctets("192.0.2.1")])
            .record("additional", wire("other.net"), Type.AAAA, 60, [addressOctets("2001:db8::1")]);
        const { answer } = respond(name, edns ? 1232 : null, build, Rcode.NXDOMAIN);
        expect(answer.rcode).toBe("NXDOMAIN");
        expect(answer.flag_aa).toBe(true);
        expect(answer.questions[0]!.name).toBe(name);
        const [authority] = answer.authorities;
        expect(authority!.name.toLowerCase()).toBe("example.com");
        const data = authority!.data as Record<string, unknown>;
        expect(String(data.mname).toLowerCase()).toBe("ns1.example.com");
        expect(String(data.rname).toLowerCase()).toBe("hostmaster.example.com");
        expect(data.serial).toBe(4_000_000_000);
        expect(answer.additionals[0]!.name.toLowerCase()).toBe("ns1.example.com");
        expect(answer.additionals[1]!.data).toBe("2001:db8::1");
        expect(answer.additionals).toHaveLength(edns ? 3 : 2);
      }),
    );
  });

  test("with TC when it does not fit, OPT and question kept", () => {
    const build = (b: TemplateBuilder) => {
      for (let i = 0; i < 40; i++) b.record("answers", "question", Type.A, 9, [addressOctets(`192.0.2.${i}`)]);
      return b;
    };
    const small = respond("a.example.com", 100, build, Rcode.NOERROR);
    expect(small.answer.flag_tc).toBe(true);
    expect(small.length).toBeLessThanOrEqual(512);
    expect(small.answer.answers).toHaveLength(0);
    expect(small.answer.additionals[0]!.udpPayloadSize).toBe(1232);
    expect(respond("a.example.com", 4096, build, Rcode.NOERROR).answer.answers).toHaveLength(40);
  });

  test("names of the authority are compressed", () => {
    const { length } = respond(
      "a.example.com",
      null,
      (b) => b.record("authority", apex, Type.SOA, 30, soaRdata(soa)),
      0,
    );
    // header, question, pointer + fixed part, `ns1` + pointer, `hostmaster` + pointer, five numbers
    expect(length).toBe(12 + 19 + 12 + 6 + 13 + 20);
  });
});

test("an error for a message without a readable question is a bare header", () => {
  const query = new Query();
  const bytes = Uint8Array.from([1, 2, 0x01, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 0xff]);
  expect(parseQuery(query, bytes, bytes.length)).toBe("formerr");
  expect([...out.subarray(0, writeBare(out, query, plainUdp, Rcode.FORMERR))]).toEqual([
    1, 2, 0x81, 0x11, 0, 0, 0, 0, 0, 0, 0, 0,
  ]);
});

test("names are shown with the escapes of master files", () => {
  expect(wireToName(Uint8Array.from([3, 46, 7, 92, 0]))).toBe("\\.\\007\\\\");
});
