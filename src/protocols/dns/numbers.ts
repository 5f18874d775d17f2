/** Numbers of the DNS protocol that this product speaks of (IANA "Domain Name System (DNS) Parameters"). */

export const Type = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  HINFO: 13,
  TXT: 16,
  AAAA: 28,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  CDS: 59,
  CDNSKEY: 60,
  SVCB: 64,
  HTTPS: 65,
  NXNAME: 128,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  MAILB: 253,
  MAILA: 254,
  ANY: 255,
} as const;

export const Class = { IN: 1, CH: 3 } as const;

export const Opcode = { QUERY: 0, NOTIFY: 4 } as const;

/** Response codes; those above 15 need EDNS (RFC 6891 6.1.3). */
export const Rcode = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  NOTAUTH: 9,
  BADVERS: 16,
  BADCOOKIE: 23,
} as const;

/** Bits of the header's second 16-bit word (RFC 1035 4.1.1, RFC 4035 3.1.6). */
export const Flag = { QR: 0x8000, AA: 0x0400, TC: 0x0200, RD: 0x0100, CD: 0x0010 } as const;

/** EDNS option codes. */
export const Option = { NSID: 3, ECS: 8, COOKIE: 10, KEEPALIVE: 11, EDE: 15 } as const;

/** Octets of the fixed header. */
export const HEADER = 12;
/** What every UDP client can take (RFC 1035 2.3.4); a smaller EDNS size is read as this (RFC 6891 6.2.3). */
export const CLASSIC_SIZE = 512;
/** Largest UDP answer: fits an IPv6 packet of 1280 octets, so it is never fragmented (RFC 9715). */
export const SAFE_SIZE = 1232;
/** Longest name on the wire, root included; longest label (RFC 1035 2.3.4). */
export const MAX_NAME = 255;
export const MAX_LABEL = 63;
/** TTLs are 31-bit (RFC 2181 8). */
export const MAX_TTL = 2 ** 31 - 1;
