import type { Backend } from "../../core/backend.ts";
import { Rcode, Type } from "../../protocols/dns/numbers.ts";
import { aBackend, aService } from "./testing.ts";

/** The services of the stress test, and what the questions about them and about the zones beside them may get. */

export const services = [
  aService("shop", { names: ["shop.example.com", "*.star.example.com", "shop.example.net"], dns: { ttl: "30s" } }),
  aService("some", { names: ["some.example.com", "some.example.net"], dns: { ttl: "7s", answers: 2 } }),
  aService("drawn", {
    names: ["drawn.example.com", "drawn.example.net"],
    dns: { ttl: "9s", steer: { by: "weighted", groups: ["east", "west"] } },
  }),
];
const tags = ["east", "west"];
const v4 = (service: number): Backend[] =>
  Array.from({ length: 6 }, (_, i) => aBackend(i, `10.${service}.0.${i + 1}`, { tags: [tags[i % 2]!] }));
const v6 = (service: number): Backend[] =>
  Array.from({ length: 4 }, (_, i) => aBackend(10 + i, `2001:db8:${service}::${i + 1}`, { tags: [tags[i % 2]!] }));
/** By service. */
export const backends = services.map((_, i) => [...v4(i), ...v6(i)]);

/** Octets of an address as they stand in a record, hex. */
const hexOf = (address: string): string =>
  address.includes(":")
    ? `20010db8000${address.split(":")[2]}${"0".repeat(16)}000${address.at(-1)}`
    : address
        .split(".")
        .map((part) => Number(part).toString(16).padStart(2, "0"))
        .join("");

/** What may be answered. */
export interface Expected {
  rcode: number;
  /** Types in the answer in the order of the chain, RRSIG not counted. */
  answers: number[];
  /** For the last set: what each record may be (hex), how many there are, and the TTL. */
  may?: { any: readonly string[]; least: number; most: number; ttl: number };
  /** Types in authority, RRSIG not counted; and that of a client that takes signatures. */
  authority: number[];
  signed: number[];
}

const { A, AAAA, CNAME, DNAME, DS, NS, NSEC, SOA, TXT } = Type;
const MX = 15;
const addresses = (service: number, six: boolean, ttl: number, most: number): Expected["may"] => ({
  any: backends[service]!.filter(({ address }) => address.includes(":") === six).map(({ address }) => hexOf(address)),
  least: 1,
  most,
  ttl,
});
const fixed = (hex: string, ttl = 3600): Expected["may"] => ({ any: [hex], least: 1, most: 1, ttl });
const found = (answers: number[], may?: Expected["may"]): Expected => ({
  rcode: 0,
  answers,
  ...(may ? { may } : {}),
  authority: [],
  signed: [],
});
const none = (rcode: number, answers: number[] = []): Expected => ({
  rcode,
  answers,
  authority: [SOA],
  signed: [SOA, NSEC],
});
const mail = fixed("7d0c0c19");
/** What may be answered to each question, written down by hand. */
export const table: Record<string, Expected> = {
  "mail.example.com A": found([A], mail),
  "mail.example.com TXT": none(0),
  "example.com MX": found([MX]),
  "txt.example.com TXT": found([TXT], fixed("036f6e650374776f")),
  "wwww.example.com A": found([CNAME, CNAME, A], addresses(0, false, 30, 6)),
  "www.example.com AAAA": found([CNAME, AAAA], addresses(0, true, 30, 4)),
  "gone.example.com A": none(Rcode.NXDOMAIN, [CNAME]),
  "a.old.example.com A": found([DNAME, CNAME, A], fixed("c0000201")),
  "x.team.example.com A": { rcode: 0, answers: [], authority: [NS], signed: [NS, NSEC] },
  "x.sec.example.com A": { rcode: 0, answers: [], authority: [NS], signed: [NS, DS] },
  "y.wild.example.com TXT": found([TXT], fixed("026869")),
  "z.also.example.com A": found([CNAME, A], mail),
  "nobody.example.com A": none(Rcode.NXDOMAIN),
  "b.c.example.com A": none(0),
  "example.com SOA": found([SOA]),
  "mail.example.net A": found([A], fixed("c000024d")),
  "nobody.example.net A": none(Rcode.NXDOMAIN),
  "www.example.org A": { rcode: Rcode.REFUSED, answers: [], authority: [], signed: [] },
};
for (const zone of ["com", "net"])
  for (const [i, [name, ttl, most]] of (
    [
      ["shop", 30, 6],
      ["some", 7, 2],
      ["drawn", 9, 3],
    ] as const
  ).entries()) {
    table[`${name}.example.${zone} A`] = found([A], addresses(i, false, ttl, most));
    table[`${name}.example.${zone} AAAA`] = found([AAAA], addresses(i, true, ttl, Math.min(most, 4)));
    table[`${name}.example.${zone} TXT`] = none(0);
  }
for (const label of ["q", "w", "e"]) table[`${label}.star.example.com A`] = found([A], addresses(0, false, 30, 6));
export const asked = Object.keys(table);
