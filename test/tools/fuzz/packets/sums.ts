/** Checksums as their RFCs define them: the one's complement sum of all that they cover, themselves included. */

/** The sum modulo 0xffff, which is 0 when the checksum inside is right. A piece of odd length must be the last. */
export function residue(...pieces: (Uint8Array | number)[]): number {
  let sum = 0;
  for (const piece of pieces)
    if (typeof piece === "number") sum += piece;
    else for (let i = 0; i < piece.length; i += 2) sum += (piece[i]! << 8) | (piece[i + 1] ?? 0);
  return sum % 0xffff;
}

export const headerResidue = (ip: Buffer): number => residue(ip.subarray(0, (ip[0]! & 15) * 4));

/** Of TCP, UDP or ICMPv6 at `header` up to `length`; IPv4's ICMP covers no addresses. */
export function bodyResidue(ip: Buffer, header: number, length: number, protocol: number): number {
  const body = ip.subarray(header, length);
  if (protocol === 1) return residue(body);
  const addresses = ip[0]! >> 4 === 6 ? ip.subarray(8, 40) : ip.subarray(12, 20);
  return residue(addresses, protocol, body.length, body);
}

/** Writes the checksum at `at` that makes `left`, the residue with a zero there, 0. */
export function complete(bytes: Buffer, at: number, left: number): void {
  bytes.writeUInt16BE((0xffff - left) % 0xffff || 0, at);
}
