/**
 * 32-bit hashing that is the same on every director and over restarts (MurmurHash3's x86_32 body and finaliser,
 * Appleby, public domain).
 */

/** Finaliser: every input bit reaches every output bit. u32 in, u32 out. */
export function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Hash of a byte string under a seed, u32. */
export const hashBytes = (bytes: Uint8Array, seed: number): number => hashFirst(bytes, bytes.length, seed);

function hashFirst(bytes: Uint8Array, length: number, seed: number): number {
  let h = seed | 0;
  const blocks = length & ~3;
  for (let i = 0; i < blocks; i += 4) {
    h = step(h, bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let i = length - 1; i >= blocks; i--) tail = (tail << 8) | bytes[i]!;
  if (blocks !== length) h = step(h, tail);
  return mix32(h ^ length);
}

function step(h: number, block: number): number {
  let k = Math.imul(block, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  return h ^ k;
}

const encoder = new TextEncoder();
/** Addresses and names are short and ASCII: their bytes are laid here instead of into memory of their own. */
const ascii = new Uint8Array(256);

/** Hash of a text's UTF-8 bytes under a seed, u32. */
export function hashText(text: string, seed: number): number {
  if (text.length > ascii.length) return hashBytes(encoder.encode(text), seed);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return hashBytes(encoder.encode(text), seed);
    ascii[i] = code;
  }
  return hashFirst(ascii, text.length, seed);
}
