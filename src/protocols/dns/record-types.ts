/**
 * How the RDATA of each known type is written (RFC 1035 5.1 and each type's own RFC). `name` may be compressed on the
 * wire, `plain-name` never (RFC 3597 4). `rest` parts take all tokens that are left.
 */
export type Field =
  | "u8"
  | "u16"
  | "u32"
  | "ttl"
  | "name"
  | "plain-name"
  | "ipv4"
  | "ipv6"
  | "string"
  | "strings-rest"
  | "raw-string"
  | "tag"
  | "hex-rest"
  | "base64-rest"
  | "params-rest";

interface RecordType {
  number: number;
  fields: readonly Field[];
}

/** Types that have a form of their own in a master file; all others are written `TYPEnnn \# length hex`. */
const recordTypes: Readonly<Record<string, RecordType>> = {
  A: { number: 1, fields: ["ipv4"] },
  NS: { number: 2, fields: ["name"] },
  CNAME: { number: 5, fields: ["name"] },
  SOA: { number: 6, fields: ["name", "name", "u32", "ttl", "ttl", "ttl", "ttl"] },
  PTR: { number: 12, fields: ["name"] },
  HINFO: { number: 13, fields: ["string", "string"] },
  MX: { number: 15, fields: ["u16", "name"] },
  TXT: { number: 16, fields: ["strings-rest"] },
  RP: { number: 17, fields: ["plain-name", "plain-name"] },
  AFSDB: { number: 18, fields: ["u16", "plain-name"] },
  AAAA: { number: 28, fields: ["ipv6"] },
  SRV: { number: 33, fields: ["u16", "u16", "u16", "plain-name"] },
  NAPTR: { number: 35, fields: ["u16", "u16", "string", "string", "string", "plain-name"] },
  KX: { number: 36, fields: ["u16", "plain-name"] },
  CERT: { number: 37, fields: ["u16", "u16", "u8", "base64-rest"] },
  DNAME: { number: 39, fields: ["plain-name"] },
  DS: { number: 43, fields: ["u16", "u8", "u8", "hex-rest"] },
  SSHFP: { number: 44, fields: ["u8", "u8", "hex-rest"] },
  DNSKEY: { number: 48, fields: ["u16", "u8", "u8", "base64-rest"] },
  TLSA: { number: 52, fields: ["u8", "u8", "u8", "hex-rest"] },
  SMIMEA: { number: 53, fields: ["u8", "u8", "u8", "hex-rest"] },
  CDS: { number: 59, fields: ["u16", "u8", "u8", "hex-rest"] },
  CDNSKEY: { number: 60, fields: ["u16", "u8", "u8", "base64-rest"] },
  OPENPGPKEY: { number: 61, fields: ["base64-rest"] },
  SVCB: { number: 64, fields: ["u16", "plain-name", "params-rest"] },
  HTTPS: { number: 65, fields: ["u16", "plain-name", "params-rest"] },
  SPF: { number: 99, fields: ["strings-rest"] },
  URI: { number: 256, fields: ["u16", "u16", "raw-string"] },
  CAA: { number: 257, fields: ["u8", "tag", "raw-string"] },
};

const names = new Map(Object.entries(recordTypes).map(([name, { number }]) => [number, name]));

/** `A`, `TYPE65280` to its number; null for what is no type of data (QTYPEs and meta types too). Any case. */
export function typeNumber(text: string): number | null {
  const word = text.toUpperCase();
  const known = Object.hasOwn(recordTypes, word) ? recordTypes[word]!.number : null;
  const generic = /^TYPE(\d{1,5})$/.exec(word);
  const number = known ?? (generic ? Number(generic[1]) : null);
  return number === null || number === 0 || number === 41 || (number >= 128 && number <= 255) || number > 65535
    ? null
    : number;
}

/** The word of a type's number; `TYPEnnn` for one without (RFC 3597 5). */
export const typeName = (number: number): string => names.get(number) ?? `TYPE${number}`;

/** How a type's RDATA is written; null: only as `\# length hex`. */
export const fieldsOf = (number: number): readonly Field[] | null =>
  recordTypes[names.get(number) ?? ""]?.fields ?? null;
