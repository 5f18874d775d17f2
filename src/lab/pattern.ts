/** Bytes that every program of the lab can make and check by position alone: no file, no seed. */
export const PATTERN_BLOCK = 65_536;

/** Byte at position i: the same in every block, different from its neighbours and from other lines of 256. */
export const pattern: Uint8Array = Uint8Array.from({ length: PATTERN_BLOCK }, (_, i) => (i * 31 + (i >> 8) * 7) & 255);

/** `length` bytes from position `offset`; at most one block's worth of copying, `length` up to PATTERN_BLOCK. */
export function patternAt(offset: number, length: number): Uint8Array {
  const start = offset % PATTERN_BLOCK;
  if (start + length <= PATTERN_BLOCK) return pattern.subarray(start, start + length);
  const out = new Uint8Array(length);
  out.set(pattern.subarray(start));
  out.set(pattern.subarray(0, start + length - PATTERN_BLOCK), PATTERN_BLOCK - start);
  return out;
}
