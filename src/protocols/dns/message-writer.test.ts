import { expect, test } from "bun:test";
import packet from "dns-packet";
import { MessageWriter } from "./message-writer.ts";
import { nameToWire } from "./name.ts";
import { Rcode, Type } from "./numbers.ts";
import { parseQuery, Query } from "./query.ts";
import { addressRecord } from "./rdata.ts";
import { plainUdp } from "./respond.ts";

const wire = (name: string): Uint8Array => nameToWire(name)!;

/** Begins an answer over TCP with an alias that stands behind `before` octets of other records. */
function begin(before: number) {
  const bytes = packet.encode({ id: 5, type: "query", flags: 0, questions: [{ name: "www.example.com", type: "A" }] });
  const query = new Query();
  parseQuery(query, bytes, bytes.length);
  const out = Buffer.alloc(65535);
  const writer = new MessageWriter();
  writer.begin(out, query, { ...plainUdp, tcp: true });
  for (let left = before; left > 0; left -= 1000)
    writer.record("answers", wire("www.example.com"), Type.TXT, 30, [new Uint8Array(Math.min(left, 1000))]);
  writer.record("answers", wire("www.example.com"), Type.CNAME, 30, [{ name: wire("shop.example.net") }]);
  const add = (owner: string): boolean =>
    writer.prebuilt(wire(owner), 16, (to, at) => {
      to.set(addressRecord("192.0.2.1", 30), at);
      return 1;
    });
  return { out, writer, add };
}

test("records with an owner of their own point to where it stands", () => {
  const { out, writer, add } = begin(5000);
  expect(add("shop.example.net")).toBe(true);
  const length = writer.finish(Rcode.NOERROR, true);
  expect(packet.decode(out.subarray(0, length)).answers!.at(-1)).toMatchObject({ name: "shop.example.net", type: "A" });
});

test("an owner that no pointer can name is refused, and nothing written", () => {
  for (const [before, owner] of [
    [20_000, "shop.example.net"],
    [0, "else.example.net"],
  ] as const) {
    const { writer, add } = begin(before);
    const { answers, length } = writer;
    expect(add(owner)).toBe(false);
    expect([writer.answers, writer.length]).toEqual([answers, length]);
  }
});
