/** Name (of example.com) and types that are asked of every server. */
const asked: [name: string, ...types: string[]][] = [
  ["@", "A", "AAAA", "SOA", "NS", "MX", "TXT", "CAA", "DS", "SRV"],
  ["ns1", "A", "AAAA", "NS", "MX"],
  ["mail", "A", "AAAA", "TXT", "CNAME"],
  ["MAIL", "A"],
  ["many", "A", "AAAA"],
  ["www", "A", "AAAA", "CNAME", "TXT", "MX"],
  ["chain1", "A", "CNAME", "MX"],
  ["chain2", "A"],
  ["out", "A", "CNAME"],
  ["gone", "A", "TXT", "CNAME"],
  ["wildto", "A", "TXT", "AAAA"],
  ["loop1", "A", "CNAME"],
  ["a.wild", "A", "TXT", "AAAA", "MX"],
  ["a.b.wild", "A", "AAAA"],
  ["*.wild", "A", "TXT"],
  ["wild", "A"],
  ["is.wild", "A", "TXT"],
  ["below.is.wild", "A", "TXT"],
  ["x.calias", "A", "TXT", "CNAME"],
  ["a.*.mid", "TXT", "A"],
  ["a.x.mid", "TXT"],
  ["*.mid", "TXT"],
  ["d", "A"],
  ["c.d", "TXT"],
  ["b.c.d", "A"],
  ["a.b.c.d", "TXT", "A"],
  ["x.b.c.d", "A"],
  ["nothing", "A", "AAAA", "TXT", "DS", "SOA", "NS"],
  ["x.nothing", "A"],
  ["sub", "A", "NS", "DS", "SOA"],
  ["x.sub", "A", "AAAA", "NS"],
  ["ns.sub", "A"],
  ["signed", "DS", "A"],
  ["x.signed", "A", "DS"],
  ["away", "A", "DS"],
  ["x.y.away", "TXT"],
  ["old", "DNAME", "A", "TXT"],
  ["a.old", "A", "AAAA", "CNAME", "DNAME"],
  ["b.old", "A"],
  ["nothing.old", "A"],
  ["x.faraway", "A"],
  ["_sip._tcp", "SRV", "A"],
  ["_tcp", "A"],
  ["host", "SSHFP", "A"],
  ["_443._tcp", "TLSA"],
  ["naptr", "NAPTR"],
  ["ptr", "PTR"],
  ["hinfo", "HINFO"],
  ["odd", "TYPE65280", "A"],
  ["loc", "TYPE29"],
  ["long", "TXT"],
  ["dot\\.ted", "A"],
  ["dot.ted", "A"],
  ["lab012345678901234567890123456789012345678901234567890123456789", "A"],
  ["upper", "A"],
  ["UpPeR", "A"],
  ["zero", "A"],
  ["https", "HTTPS", "A"],
  ["alias", "HTTPS", "SVCB"],
  ["_x._tcp", "SVCB"],
];

/** Numbers of the types that are asked for. */
const typeNumbers: Readonly<Record<string, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  TYPE29: 29,
  SRV: 33,
  NAPTR: 35,
  DNAME: 39,
  DS: 43,
  SSHFP: 44,
  TLSA: 52,
  SVCB: 64,
  HTTPS: 65,
  CAA: 257,
  TYPE65280: 65280,
};

export interface Question {
  /** `www A`, as tables and messages name it. */
  label: string;
  name: string;
  type: number;
  edns: boolean;
}

/** Every question, with EDNS and without. */
export const questions: Question[] = asked.flatMap(([name, ...types]) =>
  types.flatMap((type) =>
    [true, false].map((edns) => ({
      label: `${name} ${type}`,
      name: name === "@" ? "example.com" : `${name}.example.com`,
      type: typeNumbers[type]!,
      edns,
    })),
  ),
);
