/** One rule for an authoritative server. A rule that is not offered says why; every other has a case of its id. */
export interface Rule {
  id: string;
  source: string;
  rule: string;
  absent?: string;
}

const rule = (id: string, source: string, text: string): Rule => ({ id, source, rule: text });
const absent = (id: string, source: string, text: string, why: string): Rule => ({
  id,
  source,
  rule: text,
  absent: why,
});

/** What the RFCs ask of an authoritative server, line by line: `checklist.test.ts` carries the ids. */
export const checklist: readonly Rule[] = [
  rule("header.echo", "RFC 1035 4.1.1, RFC 4035 3.1.6", "QR set; id, opcode, RD and CD echoed; RA, Z and AD clear"),
  rule("header.aa", "RFC 1035 4.1.1", "AA set for own data, clear on REFUSED and errors"),
  rule("header.response", "RFC 1035 4.1.1", "a response, or less than a header, gets no answer"),
  rule("header.opcode", "RFC 8906 3.1.4", "an unknown operation is NOTIMP, with or without a question"),
  rule("header.flags", "RFC 8906 3.1.3", "AA, RA, TC, Z, AD and CD of a query are passed over"),
  rule("question.one", "RFC 9619", "one question, else FORMERR"),
  rule("question.foreign", "RFC 8906 3.1.1", "a name of no zone here is REFUSED, without a referral upward"),
  rule("question.class", "RFC 1035 3.2.4", "another class is REFUSED"),
  rule("question.type", "RFC 3597, RFC 8906 3.1.2", "an unknown type is NODATA, not an error"),
  rule("name.limits", "RFC 1035 2.3.4", "labels of 63, names of 255 octets, any octet value"),
  rule("name.case", "RFC 4343", "matched without case; the question's case comes back"),
  rule("name.pointer", "RFC 1035 4.1.4", "no pointer in a question; compressed answers decode"),
  rule("lookup.empty", "RFC 4592 2.2.2, RFC 8020", "an empty non-terminal is NODATA; below NXDOMAIN there is nothing"),
  rule(
    "lookup.wildcard",
    "RFC 4592 3.3",
    "a wildcard acts at the closest encloser only, the owner is the queried name",
  ),
  rule("lookup.ds", "RFC 4035 3.1.4.1", "DS at an inner apex is answered by the outer zone"),
  rule("lookup.cut", "RFC 1034 4.3.2, RFC 9471", "below a delegation: NS in authority, AA clear, glue that must fit"),
  rule("lookup.cut.ds", "RFC 4035 3.1.4.1", "DS at a delegation is answered by the parent, with AA"),
  rule(
    "lookup.cname",
    "RFC 1034 4.3.2",
    "CNAME followed within what is served, to a service too; the last name's RCODE",
  ),
  rule("lookup.loop", "RFC 1034 5.2.2", "aliases that go round end"),
  rule("lookup.dname", "RFC 6672 3.2", "DNAME with a CNAME made of it, of its TTL; CNAME is answered by that"),
  rule("lookup.dname.long", "RFC 6672 2.2", "a name that becomes too long is YXDOMAIN"),
  rule("rrset.opaque", "RFC 3597 3, 5", "records of unknown type are served as they are"),
  rule("rrset.ttl", "RFC 2181 5.2", "records of one set with several TTLs get the smallest"),
  rule("svcb", "RFC 9460 2.2", "SVCB and HTTPS with keys in rising order, the target not compressed"),
  rule(
    "svcb.form",
    "RFC 9460 2.2, 7, 8, A",
    "wrong parameters are refused when they are read: twice, alias with some, mandatory, alpn",
  ),
  rule("svcb.hints", "RFC 9460 7.3", "hints follow the steering, per client and health"),
  rule(
    "svcb.additional",
    "RFC 9460 4.1",
    "the addresses of another name, or of a service, stand beside the answer, as far as there is room",
  ),
  rule("rrset.whole", "RFC 2181 5, 9", "an RRset is sent whole, without repeats and with one TTL, or TC is set"),
  rule("negative.soa", "RFC 2308 2, 3", "NXDOMAIN and NODATA carry the SOA, its TTL the smaller of TTL and MINIMUM"),
  rule("udp.size", "RFC 1035 4.2.1, RFC 6891 6.2.3, RFC 9715", "512 octets without EDNS or below it, 1232 at most"),
  rule("edns.opt", "RFC 6891 6.1.1, 7", "OPT in the answer if and only if in the query, also in errors and with TC"),
  rule("edns.one", "RFC 6891 6.1.1", "two OPT, or one not at the root, are FORMERR"),
  rule("edns.version", "RFC 6891 6.1.3", "a later version is BADVERS, version 0, without an answer"),
  rule(
    "edns.unknown",
    "RFC 6891 6.1.2, RFC 3225",
    "unknown options and flags are passed over and not echoed; DO is echoed",
  ),
  rule("edns.nsid", "RFC 5001", "the server's name only when it is asked for"),
  rule("edns.keepalive", "RFC 7828 3.2", "the keepalive time over TCP only, and only when asked"),
  rule("edns.cookie", "RFC 7873 5.2.2", "a cookie of illegal length is FORMERR"),
  rule(
    "edns.cookie.server",
    "RFC 7873 5.2, RFC 9018",
    "a cookie is answered with a server cookie, a good one with itself",
  ),
  rule(
    "edns.cookie.required",
    "RFC 7873 5.2.3",
    "where cookies are required: BADCOOKIE with a new one, TC without any",
  ),
  rule("edns.cookie.bare", "RFC 7873 5.4, RFC 9619 4", "no question is needed to get a cookie"),
  rule(
    "edns.ecs",
    "RFC 7871 7.2.1",
    "where it is listened to: family, source and address echoed, the scope that decided",
  ),
  rule("edns.ecs.zero", "RFC 7871 7.2.1, 7.4", "scope 0 for answers that are the same for all, and negative ones"),
  rule("edns.ecs.form", "RFC 7871 7.1.2", "bad family, length, scope or stray bits are FORMERR; source 0 is not used"),
  rule("edns.ecs.off", "RFC 7871 7.2.2", "where it is not listened to it is passed over, and not echoed"),
  rule("any.minimal", "RFC 8482 4.2", "ANY gets one HINFO"),
  rule("transfer.refused", "RFC 5936 2.2.1", "AXFR and IXFR are REFUSED, not met with silence"),
  rule("reply.source", "RFC 2181 4", "answers come from the address that was asked: wildcards are no listeners"),
  rule("dnssec.do", "RFC 4035 3.1, RFC 3225 3", "RRSIG and NSEC with DO only, over every set that is the zone's own"),
  rule(
    "dnssec.denial",
    "RFC 9824 3",
    "one NSEC of the queried name: NXNAME for none, its types for NODATA and empty ones",
  ),
  rule("dnssec.nxname", "RFC 9824 3.5", "NXNAME is no question: FORMERR"),
  rule("dnssec.wildcard", "RFC 4035 3.1.3.3, RFC 9824 3", "what a wildcard gives is signed under the queried name"),
  rule(
    "dnssec.delegation",
    "RFC 4035 3.1.4",
    "a referral has the DS, or the NSEC that says there is none; glue is not signed",
  ),
  rule("dnssec.cds", "RFC 7344 4.1, RFC 8078", "CDS and CDNSKEY, signed by the key that the DS leads to"),
  rule("dnssec.dname", "RFC 6672 5.3.1", "a DNAME is signed, the CNAME made of it is not"),
  rule("dnssec.any", "RFC 8482 4, 7", "ANY gets one signed record, RRSIG one signature"),
  rule(
    "transfer.whole",
    "RFC 5936 2.2",
    "AXFR over TCP: all records between two SOA, in messages with id and question",
  ),
  rule("transfer.acl", "RFC 5936 5", "a transfer takes the network, the key, or both that are asked for; else REFUSED"),
  rule("transfer.zone", "RFC 5936 2.2.1", "a name that is no zone here is NOTAUTH"),
  rule(
    "transfer.incremental",
    "RFC 1995 2, 4",
    "IXFR gets the whole zone, or one SOA when nothing is newer or over UDP",
  ),
  rule("transfer.static", "RFC 5936 3", "steered names stand in a transfer with a static view"),
  rule("tsig.answer", "RFC 8945 5.3", "a signed query gets a signed answer, the messages of a transfer each"),
  rule(
    "tsig.errors",
    "RFC 8945 5.2",
    "BADKEY, BADSIG, BADTIME and BADTRUNC are NOTAUTH with the reason; malformed FORMERR",
  ),
  absent("transfer.notify", "RFC 1996", "NOTIFY", "not sent; received ones are NOTIMP: no zone is a copy here"),
  absent("transfer.tls", "RFC 9103", "transfers over TLS", "waits for TLS on the client side"),
];
