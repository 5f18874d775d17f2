import { addressOctets, parseAddress } from "../../core/address.ts";
import { octetsOf } from "./master-tokens.ts";

/** Keys of SVCB and HTTPS records with a word of their own (RFC 9460 14.3, RFC 9461). */
const keys: Readonly<Record<string, number>> = {
  mandatory: 0,
  alpn: 1,
  "no-default-alpn": 2,
  port: 3,
  ipv4hint: 4,
  ech: 5,
  ipv6hint: 6,
  dohpath: 7,
  ohttp: 8,
};

function keyNumber(word: string): number | null {
  if (Object.hasOwn(keys, word)) return keys[word]!;
  const match = /^key(0|[1-9]\d{0,4})$/.exec(word);
  return match && Number(match[1]) < 65_535 ? Number(match[1]) : null;
}

/** A comma list: `\,` is no separator, `\\` a backslash (RFC 9460 appendix A.1). The value is unescaped once before. */
function splitList(octets: Uint8Array): number[][] | null {
  const items: number[][] = [[]];
  for (let i = 0; i < octets.length; i++) {
    const octet = octets[i]!;
    if (octet === COMMA) items.push([]);
    else if (octet === BACKSLASH) {
      const next = octets[++i];
      if (next !== COMMA && next !== BACKSLASH) return null;
      items.at(-1)!.push(next);
    } else items.at(-1)!.push(octet);
  }
  return items.every((item) => item.length > 0 && item.length <= 255) ? items : null;
}
const COMMA = 44;
const BACKSLASH = 92;

const u16 = (value: number): number[] => [value >> 8, value & 0xff];

/** One parameter's value in wire form, or what is wrong with it. */
function wireValue(key: number, word: string, text: string | null): number[] | string {
  const octets = text === null ? new Uint8Array(0) : octetsOf(text);
  if (octets === null) return `${word} has a wrong escape`;
  const plain = String.fromCharCode(...octets);
  const flag = key === keys["no-default-alpn"] || key === keys.ohttp;
  if (flag) return octets.length > 0 ? `${word} takes no value` : [];
  if (key <= 7 && octets.length === 0) return `${word} needs a value`;
  switch (key) {
    case keys.mandatory: {
      const numbers = plain.split(",").map(keyNumber);
      if (numbers.some((n) => n === null || n === 0)) return "mandatory lists other keys by name";
      const sorted = (numbers as number[]).sort((a, b) => a - b);
      if (new Set(sorted).size < sorted.length) return "mandatory lists a key twice";
      return sorted.flatMap(u16);
    }
    case keys.alpn: {
      const items = splitList(octets);
      return items === null ? "alpn is a list of protocol names" : items.flatMap((item) => [item.length, ...item]);
    }
    case keys.port:
      return /^\d{1,5}$/.test(plain) && Number(plain) < 65_536 ? u16(Number(plain)) : "port is a number up to 65535";
    case keys.ipv4hint:
    case keys.ipv6hint: {
      // Ours: the target's addresses as they are answered. Empty until then.
      if (plain === "auto") return [];
      const addresses = plain.split(",").map(parseAddress);
      const six = key === keys.ipv6hint;
      if (addresses.some((a) => a === null || a.includes(":") !== six)) return `${word} is a list of addresses`;
      return addresses.flatMap((a) => [...addressOctets(a!)]);
    }
    case keys.ech:
      return /^[0-9A-Za-z+/]+={0,2}$/.test(plain) ? [...Buffer.from(plain, "base64")] : "ech is base64";
    default:
      return [...octets];
  }
}

/**
 * SvcParams in presentation form to wire form, keys rising (RFC 9460 2.1, 2.2, appendix A). Returns the sentence of
 * what is wrong: a key twice, a key that `mandatory` lists and is not there, no-default-alpn without alpn.
 */
export function parseSvcParams(words: readonly string[]): Uint8Array[] | string {
  const params = new Map<number, number[]>();
  for (const word of words) {
    const equals = word.indexOf("=");
    const name = equals === -1 ? word : word.slice(0, equals);
    const key = keyNumber(name);
    if (key === null) return `"${name}" is not a parameter`;
    if (params.has(key)) return `${name} stands twice`;
    const value = wireValue(key, name, equals === -1 ? null : word.slice(equals + 1));
    if (typeof value === "string") return value;
    params.set(key, value);
  }
  if (params.has(keys["no-default-alpn"]!) && !params.has(keys.alpn!)) return "no-default-alpn needs alpn";
  const needed = params.get(0) ?? [];
  const auto = [keys.ipv4hint!, keys.ipv6hint!].filter((key) => params.get(key)?.length === 0);
  for (let i = 0; i < needed.length; i += 2)
    if (auto.includes((needed[i]! << 8) | needed[i + 1]!))
      return "mandatory lists a hint that is auto, and may be absent";
  for (let i = 0; i < needed.length; i += 2)
    if (!params.has((needed[i]! << 8) | needed[i + 1]!)) return "mandatory lists a key that is not there";
  const sorted = [...params].sort(([a], [b]) => a - b);
  return [Uint8Array.from(sorted.flatMap(([key, value]) => [...u16(key), ...u16(value.length), ...value]))];
}
