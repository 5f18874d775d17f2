import { fromBytes16, isIPv6, toBytes16, writeIPv4 } from "../core/address.ts";

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;

/** `struct sockaddr_in` or `sockaddr_in6` of an address literal and a port, as bind(2) and connect(2) take it. */
export function toSockaddr(address: string, port: number): { family: number; bytes: Uint8Array } {
  const six = isIPv6(address);
  const family = six ? AF_INET6 : AF_INET;
  const bytes = new Uint8Array(six ? 28 : 16);
  bytes[0] = family; // sa_family_t is in host order; every supported host is little-endian
  bytes[2] = port >> 8; // network order
  bytes[3] = port;
  if (six) bytes.set(toBytes16(address), 8);
  else writeIPv4(address, bytes, 4);
  return { family, bytes };
}

/** Address and port of a `struct sockaddr_in` or `sockaddr_in6`, the inverse of `toSockaddr`. */
export function fromSockaddr(bytes: Uint8Array): { address: string; port: number } {
  const port = bytes[2]! * 256 + bytes[3]!;
  // Put together by hand: this is on the way of every connection.
  const address =
    bytes[0] === AF_INET ? `${bytes[4]}.${bytes[5]}.${bytes[6]}.${bytes[7]}` : fromBytes16(bytes.subarray(8, 24));
  return { address, port };
}

/**
 * `struct sockaddr_un` of a path, or of an abstract name when it begins with `@` (unix(7)). Null: longer than the 107
 * bytes there is room for.
 */
export function toSockaddrUnix(path: string): Uint8Array | null {
  const name = Buffer.from(path);
  if (name.length === 0 || name.length > 107) return null;
  const abstract = name[0] === 0x40;
  if (abstract) name[0] = 0;
  const bytes = new Uint8Array(2 + name.length + (abstract ? 0 : 1));
  bytes[0] = AF_UNIX;
  bytes.set(name, 2);
  return bytes;
}
