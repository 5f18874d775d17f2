import { expect, test } from "bun:test";
import fc from "fast-check";
import { type ParsedSet, parseMessage } from "../../../protocols/dns/testing.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "../testing.ts";

/** Policies that hang on the client, or on nothing: the same client gets the same answer each time. */
const by = fc.constantFrom("nearest", "hash", "failover");
const tags = ["east", "west", "north"] as const;
const tag = fc.constantFrom(...tags);
const groupsOf = (group: fc.Arbitrary<object | string>) =>
  fc.uniqueArray(group, { minLength: 1, maxLength: 4, selector: (one) => JSON.stringify(one) });
const inner = fc.record({ tag, by, groups: groupsOf(tag) });
const middle = fc.record({ by, groups: groupsOf(fc.oneof(tag, inner)) });
const nest = fc.record({ by, groups: groupsOf(fc.oneof(tag, inner, middle)) });

const octet = fc.oneof(fc.constantFrom(0, 1, 127, 128, 255), fc.nat(255));
const addressOf = (size: number): fc.Arbitrary<number[]> =>
  fc
    .tuple(
      fc.constantFrom(...(size === 4 ? [10, 20] : [0x20])),
      fc.array(octet, { minLength: size - 1, maxLength: size - 1 }),
    )
    .map(([first, others]) => [first, ...others]);
const client = fc
  .tuple(fc.oneof(addressOf(4), addressOf(16)), fc.nat(127))
  .map(([address, n]) => ({ address, bits: 1 + (n % (address.length * 8)) }));
const network = client.map(({ address, bits }) => {
  const kept = keep(address, bits, []);
  const text =
    kept.length === 4
      ? kept.join(".")
      : Array.from({ length: 8 }, (_, i) => (kept[2 * i]! * 256 + kept[2 * i + 1]!).toString(16)).join(":");
  return `${text}/${bits}`;
});

/** The first `bits` of an address, the others those of `rest`, or 0. */
const keep = (address: readonly number[], bits: number, rest: readonly number[]): number[] =>
  address.map((o, i) => {
    const mask = (0xff00 >> Math.min(8, Math.max(0, bits - i * 8))) & 255;
    return (o & mask) | ((rest[i] ?? 0) & ~mask & 255);
  });

/** Those of the north have IPv4 alone. */
const backends = Array.from({ length: 9 }, (_, i) =>
  aBackend(i, i % 3 === 2 && i < 6 ? `2001:db8::${i}` : `192.0.2.${i + 1}`, { tags: [tags[Math.floor(i / 3)]!] }),
);
const records = ["alias CNAME shop", "https HTTPS 1 shop alpn=h2 ipv4hint=auto"];

/** A server whose answers hang on who asks; null for groups that cannot be. */
function serverOf(steer: object, networks: readonly string[], bits: number) {
  const places = Object.fromEntries(
    tags.map((name, i) => [name, { networks: networks.filter((_, k) => k % 3 === i), next: tags.slice(i + 1) }]),
  );
  const dns = { steer, network: { ipv4: Math.min(32, bits), ipv6: bits } };
  const service = aService("shop", { scheduler: { name: "source-hash", options: {} }, dns });
  const more = { clientSubnet: true, places, zones: { "example.com": { records } } };
  return aServer([service], [aSnapshot("shop", backends)], more);
}

/** The answer to a client of a network, "" where there is none, and its scope. */
function asked({ raw }: ReturnType<typeof serverOf>, name: string, type: string, address: number[], bits: number) {
  const data = [0, address.length === 4 ? 1 : 2, bits, 0, ...keep(address, bits, []).slice(0, Math.ceil(bits / 8))];
  const query = Buffer.concat([ask({ name, type, edns: 1232 }), Buffer.from([0, 8, 0, data.length, ...data])]);
  query.writeUInt16BE(4 + data.length, query.length - 6 - data.length);
  const { answers, options } = parseMessage(raw(query));
  const text = ({ type: number, rdata }: ParsedSet): string =>
    `${number} ${rdata.map((r) => Buffer.from(r).toString("hex"))}`;
  return { scope: options[7]!, text: answers.map(text).join("; ") };
}

const questions = [
  ["shop.example.com", "A"],
  ["shop.example.com", "AAAA"],
  ["alias.example.com", "A"],
  ["https.example.com", "HTTPS"],
] as const;

test("whoever agrees in the bits of the scope gets the same answer, whatever the groups (RFC 7871 7.2.1)", () => {
  let answered = 0;
  const networks = fc.uniqueArray(network, { minLength: 3, maxLength: 12 });
  const pairs = fc.array(fc.tuple(client, fc.array(octet, { minLength: 16, maxLength: 16 })), { minLength: 8 });
  fc.assert(
    fc.property(nest, networks, fc.integer({ min: 1, max: 64 }), pairs, (steer, places, bits, clients) => {
      const server = serverOf(steer, places, bits);
      for (const [i, [{ address, bits: source }, rest]] of clients.entries()) {
        const [name, type] = questions[i % questions.length]!;
        const { scope, text } = asked(server, name, type, address, source);
        if (text !== "") answered++;
        const other = keep(keep(address, source, []), scope, rest);
        expect(asked(server, name, type, other, address.length * 8).text).toBe(text);
      }
    }),
  );
  expect(answered).toBeGreaterThan(300);
});
