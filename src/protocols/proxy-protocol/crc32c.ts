/** By octet: the remainder of CRC-32C (Castagnoli, RFC 3720 12.1; polynomial 0x82f63b78, reflected). */
const table = Uint32Array.from({ length: 256 }, (_, octet) => {
  let crc = octet;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

/** CRC-32C of `bytes`, u32. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const octet of bytes) crc = table[(crc ^ octet) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
