import { addressOctets, parseAddress } from "../../core/address.ts";
import type { Token } from "./master-tokens.ts";
import { octetsOf } from "./master-tokens.ts";
import { type Field, fieldsOf, typeName } from "./record-types.ts";
import { isSvcb } from "./svcb.ts";
import { parseSvcParams } from "./svcb-text.ts";
import type { Rdata } from "./template.ts";

/** A domain name of a master file to wire form, relative to the origin; null when it is none. */
export type Resolve = (text: string) => Uint8Array | null;

/** RDATA, or the sentence that says what is wrong with it. */
export type ParsedRdata = { ok: true; rdata: Rdata } | { ok: false; message: string };

const bad = (message: string): ParsedRdata => ({ ok: false, message });

/** Types whose names the server must know: they cannot be given as opaque octets. */
const followed = new Set(["NS", "CNAME", "SOA", "DNAME", "SVCB", "HTTPS"]);
/** Octets of types that have always as many. */
const fixed: Readonly<Record<string, number>> = { A: 4, AAAA: 16 };

/** RDATA of a type from its tokens: the type's own form, or `\# length hex` (RFC 3597 5). */
export function parseRdata(type: number, tokens: readonly Token[], resolve: Resolve): ParsedRdata {
  const name = typeName(type);
  if (tokens[0]?.text === "\\#" && !tokens[0].quoted)
    return followed.has(name)
      ? bad(`${name} must be written with names, not as \\#`)
      : parseOpaque(tokens.slice(1), fixed[name]);
  const fields = fieldsOf(type);
  if (fields === null) return bad(`${name} has no form of its own here: write \\# LENGTH HEX`);
  let parts: (Uint8Array | { name: Uint8Array })[] = [];
  let at = 0;
  for (const field of fields) {
    const rest = field.endsWith("-rest");
    if (!rest && at >= tokens.length) return bad(`${name} lacks its ${ordinal(fields.indexOf(field, at))} part`);
    const made = rest ? parseRest(field, tokens.slice(at)) : parseField(field, tokens[at]!, resolve);
    if (typeof made === "string") return bad(`${name}: ${made}`);
    // Not as arguments: a line of a million words has more parts than a call takes.
    parts = parts.concat(made);
    at = rest ? tokens.length : at + 1;
  }
  if (at < tokens.length) return bad(`${name} has a part too many: "${tokens[at]!.text}"`);
  if (isSvcb(type) && isAlias(parts)) return bad(`${name}: an alias (priority 0) takes no parameters`);
  const size = parts.reduce((sum, part) => sum + (part instanceof Uint8Array ? part.length : part.name.length), 0);
  return size > 65_535 ? bad(`${name} is longer than 65,535 octets`) : { ok: true, rdata: parts };
}

const isAlias = ([priority, , params]: Rdata): boolean =>
  (priority as Uint8Array).every((octet) => octet === 0) && (params as Uint8Array | undefined)?.length !== 0;

const ordinal = (index: number): string => `${index + 1}${["st", "nd", "rd"][index] ?? "th"}`;

function parseOpaque(tokens: readonly Token[], size: number | undefined): ParsedRdata {
  const length = Number(tokens[0]?.text);
  const hex = tokens
    .slice(1)
    .map((token) => token.text)
    .join("");
  if (!/^\d{1,5}$/.test(tokens[0]?.text ?? "") || length > 65_535) return bad("\\# needs a length up to 65535");
  if (!/^([0-9a-fA-F]{2})*$/.test(hex) || hex.length !== length * 2)
    return bad(`\\# ${length} needs ${length} octets in hex`);
  if (size !== undefined && length !== size) return bad(`it has ${size} octets, not ${length}`);
  return { ok: true, rdata: [Uint8Array.from(Buffer.from(hex, "hex"))] };
}

type Made = (Uint8Array | { name: Uint8Array })[] | string;

function number(text: string, octets: number): Made {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value < 2 ** (8 * octets))) return `"${text}" is not a number of ${octets * 8} bits`;
  return [Uint8Array.from({ length: octets }, (_, i) => Math.floor(value / 2 ** (8 * (octets - 1 - i))) % 256)];
}

function parseField(field: Field, { text, quoted }: Token, resolve: Resolve): Made {
  switch (field) {
    case "u8":
      return number(text, 1);
    case "u16":
      return number(text, 2);
    case "u32":
      return number(text, 4);
    case "ttl": {
      const value = parseTtl(text);
      return value === null ? `"${text}" is not a time` : number(String(value), 4);
    }
    case "name":
    case "plain-name": {
      const wire = quoted ? null : resolve(text);
      if (wire === null) return `"${text}" is not a domain name`;
      return field === "name" ? [{ name: wire }] : [wire];
    }
    case "ipv4":
    case "ipv6": {
      const address = parseAddress(text);
      const six = field === "ipv6";
      // `::ffff:192.0.2.1` is an AAAA's business too: the canonical form of it is IPv4.
      if (address === null || text.includes(":") !== six) return `"${text}" is not an IPv${six ? 6 : 4} address`;
      return [six && !address.includes(":") ? mapped(address) : addressOctets(address)];
    }
    case "string":
      return string(text);
    case "raw-string": {
      const octets = octetsOf(text);
      return octets === null ? "a wrong escape" : [octets];
    }
    case "tag":
      return /^[0-9A-Za-z]{1,255}$/.test(text) ? string(text) : `"${text}" is not a tag of letters and digits`;
    default:
      return "an unknown part";
  }
}

const mapped = (address: string): Uint8Array =>
  Uint8Array.from([...Array(10).fill(0), 255, 255, ...addressOctets(address)]);

function string(text: string): Made {
  const octets = octetsOf(text);
  if (octets === null) return "a wrong escape";
  if (octets.length > 255) return "a text is longer than 255 octets";
  return [Uint8Array.from([octets.length, ...octets])];
}

function parseRest(field: Field, tokens: readonly Token[]): Made {
  if (field === "params-rest") return parseSvcParams(tokens.map((token) => token.text));
  if (tokens.length === 0) return "the last part is missing";
  if (field === "strings-rest") {
    const made = tokens.map((token) => string(token.text));
    return made.find((part) => typeof part === "string") ?? (made.flat() as Uint8Array[]);
  }
  const text = tokens.map((token) => token.text).join("");
  const hex = field === "hex-rest";
  const valid = hex ? /^([0-9a-fA-F]{2})+$/ : /^[0-9A-Za-z+/]+={0,2}$/;
  if (!valid.test(text) || (!hex && text.length % 4 !== 0)) return `"${text}" is not ${hex ? "hex" : "base64"}`;
  return [Uint8Array.from(Buffer.from(text, hex ? "hex" : "base64"))];
}

const units: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Longest word that is read as a time. */
const MOST_TTL_TEXT = 64;

/** `3600`, `1h30m` to seconds; null for anything else, for words without end, and for what is beyond 31 bits (RFC 2181 8). */
export function parseTtl(text: string): number | null {
  if (text.length > MOST_TTL_TEXT || !/^(\d{1,10}|(\d{1,10}[smhdw])+)$/i.test(text)) return null;
  const seconds = /^\d+$/.test(text)
    ? Number(text)
    : [...text.matchAll(/(\d+)([smhdw])/gi)].reduce(
        (sum, [, n, unit]) => sum + Number(n) * units[unit!.toLowerCase()]!,
        0,
      );
  return seconds < 2 ** 31 ? seconds : null;
}
