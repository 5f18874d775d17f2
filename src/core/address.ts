import ipaddr from "ipaddr.js";

/** Four decimal octets without leading zeros. One look: very many are read at a start. */
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** Canonical text of an IPv4 or IPv6 literal (no zone, no brackets); null for anything else. IPv4-mapped becomes IPv4. */
export function parseAddress(text: string): string | null {
  if (IPV4.test(text)) return text;
  if (!/^[0-9a-fA-F:.]+$/.test(text) || !text.includes(":")) return null;
  if (!ipaddr.IPv6.isValid(text)) return null;
  const parsed = ipaddr.IPv6.parse(text);
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.toRFC5952String();
}

/** `10.0.0.1:80`, `[2001:db8::1]:80`; with `portOptional` also the bare address. Null for anything else. */
export function parseEndpoint(text: string, portOptional = false): { address: string; port: number | null } | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/.exec(text);
  const bare = match ? (match[1] ?? match[2]!) : text;
  const address = parseAddress(bare);
  if (address === null || (match?.[1] !== undefined && !match[1].includes(":"))) return null;
  const port = match?.[3] === undefined ? null : Number(match[3]);
  if (port === null) return portOptional ? { address, port } : null;
  return port >= 1 && port <= 65535 ? { address, port } : null;
}

/** Octets of an IPv4 literal that is one, to `out` from `at` on. Makes nothing on the way. */
export function writeIPv4(text: string, out: Uint8Array, at: number): void {
  let place = at;
  let octet = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    // Below the digits stands the dot.
    if (digit >= 0) octet = octet * 10 + digit;
    else {
      out[place++] = octet;
      octet = 0;
    }
  }
  out[place] = octet;
}

/** Octets of an address literal (4 or 16, network order) to `out`; returns how many. IPv4 makes nothing on the way. */
export function writeAddress(text: string, out: Uint8Array): number {
  if (isIPv6(text)) {
    out.set(ipaddr.IPv6.parse(text).toByteArray());
    return 16;
  }
  writeIPv4(text, out, 0);
  return 4;
}

/** The 4 or 16 octets of an address literal, network order; the literal must be one. */
export function addressOctets(text: string): Uint8Array<ArrayBuffer> {
  const octets = new Uint8Array(isIPv6(text) ? 16 : 4);
  writeAddress(text, octets);
  return octets;
}

/** 16 bytes in network order; IPv4 is mapped (::ffff:a.b.c.d). The only form of an address in BPF keys and values. */
export function toBytes16(address: string): Uint8Array<ArrayBuffer> {
  if (!IPV4.test(address)) return Uint8Array.from(ipaddr.IPv6.parse(address).toByteArray());
  const bytes = new Uint8Array(16);
  bytes.fill(0xff, 10, 12);
  writeIPv4(address, bytes, 12);
  return bytes;
}

/** The inverse of `toBytes16`. */
export function fromBytes16(bytes: Uint8Array): string {
  const mapped = bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((octet) => octet === 0);
  if (mapped) return bytes.subarray(12, 16).join(".");
  return (ipaddr.fromByteArray([...bytes.subarray(0, 16)]) as ipaddr.IPv6).toRFC5952String();
}

/**
 * Under what a client is counted and told apart, by its address as sockets give it (perhaps mapped, perhaps with a zone):
 * an IPv4 address is one client, of IPv6 the network of its first `bits` is, for whoever has one address of it has all.
 */
export function clientNetwork(address: string, bits: number): string {
  if (!isIPv6(address)) return address;
  const canonical = parseAddress(address.split("%", 1)[0]!) ?? address;
  if (!isIPv6(canonical) || bits >= 128) return canonical;
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${canonical}/${bits}`).toRFC5952String()}/${bits}`;
}

export const isIPv6 = (address: string): boolean => address.includes(":");
