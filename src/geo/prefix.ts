import ipaddr from "ipaddr.js";
import { addressOctets, isIPv6, parseAddress, writeAddress } from "../core/address.ts";

/** A network: its address's octets (4 or 16, host bits clear) and how many bits of them count. */
export interface Prefix {
  bytes: Uint8Array;
  length: number;
}

/** `10.0.0.0/8`, `2001:db8::/32`, or one address; null for anything else, host bits that are set too. */
export function parsePrefix(text: string): Prefix | null {
  const [, written, bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = written === undefined ? null : parseAddress(written);
  if (address === null) return null;
  const bytes = addressOctets(address);
  const length = bits === undefined ? bytes.length * 8 : Number(bits);
  return length <= bytes.length * 8 && clearHostBits(bytes.slice(), length).every((octet, i) => octet === bytes[i])
    ? { bytes, length }
    : null;
}

/** `10.0.0.0/8`. The inverse of `parsePrefix`. */
export const prefixText = ({ bytes, length }: Prefix): string =>
  `${parseAddress(ipaddr.fromByteArray([...bytes]).toString())}/${length}`;

/** Clears all bits after the first `length`, in place. */
export function clearHostBits(bytes: Uint8Array, length: number): Uint8Array {
  for (let i = 0; i < bytes.length; i++) {
    const kept = Math.min(8, Math.max(0, length - i * 8));
    bytes[i] = bytes[i]! & (0xff00 >> kept);
  }
  return bytes;
}

/** A client's address in octets; one object is filled again for each. */
export class ClientAddress {
  readonly octets = new Uint8Array(16);
  /** 4 or 16. */
  size = 4;

  /** Its canonical literal. */
  get text(): string {
    return parseAddress(ipaddr.fromByteArray([...this.octets.subarray(0, this.size)]).toString())!;
  }

  /** An address as sockets give it. */
  read(text: string): this {
    this.size = readAddress(text, this.octets);
    return this;
  }

  /** `size` octets out of others. */
  take(from: Uint8Array, at: number, size: number): this {
    this.size = size;
    for (let i = 0; i < size; i++) this.octets[i] = from[at + i]!;
    return this;
  }
}

/** Octets of an address as sockets give it (4 or 16), perhaps with a zone, to `out`; returns how many. */
export const readAddress = (text: string, out: Uint8Array): number =>
  writeAddress(isIPv6(text) ? text.split("%", 1)[0]! : text, out);
