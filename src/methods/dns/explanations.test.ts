import { describe, expect, test } from "bun:test";
import { ClientAddress } from "../../geo/prefix.ts";
import { Rcode } from "../../protocols/dns/numbers.ts";
import { plainUdp } from "../../protocols/dns/respond.ts";
import { parseMessage } from "../../protocols/dns/testing.ts";
import { type Ask, aBackend, aServer, aService, aSnapshot, ask } from "./testing.ts";

const services = [aService("shop", { dns: { empty: "servfail" } })];
const server = aServer(services, [aSnapshot("shop", [aBackend(1, "192.0.2.1", { state: "down" })])], {
  zones: { "example.com": { records: ["www CNAME shop"] } },
});

/** RCODE, and code and words of the extended error. */
function explained(question: Ask, transport: object = {}): [rcode: number, code?: number, text?: string] {
  const query = ask({ edns: 1232, ...question });
  const out = Buffer.alloc(65535);
  const length = server.answerer.answer(
    query,
    query.length,
    new ClientAddress().read("192.0.2.9"),
    { ...plainUdp, ...transport },
    out,
  );
  const message = parseMessage(out.subarray(0, length));
  const data = message.options;
  if (data.length === 0) return [message.rcode];
  expect([data.readUInt16BE(0), data.readUInt16BE(2)]).toEqual([15, data.length - 4]);
  return [message.rcode, data.readUInt16BE(4), data.subarray(6).toString()];
}

describe("an answer that is none says why (RFC 8914)", () => {
  for (const [what, question, expected] of [
    ["a zone that is not here", { name: "example.org" }, [Rcode.REFUSED, 20, ""]],
    ["a transfer that is not for this client", { name: "example.com", type: "AXFR" }, [Rcode.REFUSED, 18, ""]],
    ["a type that cannot be asked for", { name: "example.com", type: "NXNAME" }, [Rcode.FORMERR, 30, ""]],
    ["nobody eligible", { name: "shop.example.com" }, [Rcode.SERVFAIL, 0, "no backend may get clients now"]],
    ["the same behind an alias", { name: "www.example.com" }, [Rcode.SERVFAIL, 0, "no backend may get clients now"]],
    ["a name that is not there", { name: "nobody.example.com" }, [Rcode.NXDOMAIN]],
  ] as const)
    test(`edns.error: ${what}`, () => expect(explained(question)).toEqual([...expected]));

  test("the next answer says nothing of it, nor does one to a client without EDNS", () => {
    explained({ name: "example.org" });
    expect(explained({ name: "nobody.example.com" })).toEqual([Rcode.NXDOMAIN]);
    expect(parseMessage(server.raw(ask({ name: "example.org" }))).additional).toEqual([]);
  });
});
