import type { Query } from "./query.ts";

/** Octets of the option's data before the address: family, source and scope prefix length (RFC 7871 6). */
const HEAD = 4;
const FAMILY_V4 = 1;
const FAMILY_V6 = 2;

/**
 * The client subnet of a query (RFC 7871): writes its address, zeros behind the prefix, to `out` (16 octets). Returns 4
 * or 16, the octets of an address of its family; 0 when the client wants none to be used (source prefix 0); -1 when the
 * option is malformed: another family, a wrong length, bits behind the prefix, or a scope in a query (RFC 7871 7.1.2).
 */
export function readSubnet({ bytes, subnetAt: at, subnetLength: length }: Query, out: Uint8Array): number {
  if (length < HEAD) return -1;
  const family = (bytes[at]! << 8) | bytes[at + 1]!;
  const source = bytes[at + 2]!;
  const octets = Math.ceil(source / 8);
  if (bytes[at + 3] !== 0 || length !== HEAD + octets) return -1;
  if (source === 0) return family <= FAMILY_V6 ? 0 : -1;
  const size = family === FAMILY_V4 ? 4 : family === FAMILY_V6 ? 16 : 0;
  if (octets > size) return -1;
  for (let i = 0; i < size; i++) out[i] = i < octets ? bytes[at + HEAD + i]! : 0;
  const stray = source & 7;
  return stray !== 0 && (out[octets - 1]! & (0xff >> stray)) !== 0 ? -1 : size;
}
