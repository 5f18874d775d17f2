/** Where the answers of others differ from ours, and why. docs/dns-peers.md shows the same as a table. */
export interface Difference {
  id: string;
  peers: string[];
  /** Parts of the answer: rcode, aa, tc, answers, authority, additional, silence. */
  parts: string[];
  /** Questions (`www A`) where it shows. */
  questions: string[];
  why: string;
}

export const differences: Difference[] = [
  {
    id: "extra-addresses",
    peers: ["knot", "powerdns"],
    parts: ["additional"],
    questions: ["@ MX", "_sip._tcp SRV"],
    why: "They add the addresses of the hosts that MX and SRV name; ours are minimal (RFC 1034 3.7 leaves it open), as are BIND's and NSD's when asked to be.",
  },
  {
    id: "svcb-addresses",
    peers: ["bind", "nsd"],
    parts: ["additional"],
    questions: ["alias HTTPS", "_x._tcp SVCB"],
    why: "Ours adds the addresses of the target, as RFC 9460 4.1 asks, and Knot and PowerDNS do.",
  },
  {
    id: "circle",
    peers: ["bind", "powerdns"],
    parts: ["rcode", "answers"],
    questions: ["loop1 A"],
    why: "Aliases that go round: they answer SERVFAIL, PowerDNS without the aliases; ours, NSD's and Knot's is NOERROR with each alias once, and the resolver sees what is wrong.",
  },
  {
    id: "soa-ttl-0",
    peers: ["bind"],
    parts: ["authority"],
    questions: ["nothing SOA"],
    why: "BIND gives the SOA of a negative answer to an SOA question the TTL 0 (its zero-no-soa-ttl); RFC 2308 3 makes no such exception.",
  },
  {
    id: "soa-beside-an-alias",
    peers: ["powerdns"],
    parts: ["authority"],
    questions: ["x.calias CNAME", "a.old CNAME"],
    why: "PowerDNS adds an SOA to a positive answer that a wildcard or a DNAME made; RFC 2308 2 has it in negative ones.",
  },
  {
    id: "opaque-loc",
    peers: ["powerdns"],
    parts: ["rcode", "answers"],
    questions: ["loc TYPE29"],
    why: "PowerDNS 4.7 answers SERVFAIL for LOC that is written as an unknown type (RFC 3597 5 allows it for known ones).",
  },
];
