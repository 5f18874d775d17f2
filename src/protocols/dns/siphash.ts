/**
 * SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash of 64 bits, in 32-bit halves because numbers here have no more.
 * Word `i` of the state is `v[2i]` (low) and `v[2i + 1]` (high).
 */
const v = new Int32Array(8);

/** v[a] += v[b] */
function add(a: number, b: number): void {
  const low = v[a]! + v[b]!;
  const sum = low | 0;
  // A carry out of the low half: the unsigned sum is below an unsigned addend.
  const carry = sum >>> 0 < v[b]! >>> 0 ? 1 : 0;
  v[a + 1] = v[a + 1]! + v[b + 1]! + carry;
  v[a] = sum;
}

/** v[a] = rotate(v[a], bits) ^ v[b], bits below 32 */
function rotateXor(a: number, bits: number, b: number): void {
  const low = v[a]!;
  const high = v[a + 1]!;
  v[a] = ((low << bits) | (high >>> (32 - bits))) ^ v[b]!;
  v[a + 1] = ((high << bits) | (low >>> (32 - bits))) ^ v[b + 1]!;
}

/** v[a] = rotate(v[a], 32) */
function swap(a: number): void {
  const low = v[a]!;
  v[a] = v[a + 1]!;
  v[a + 1] = low;
}

function round(): void {
  add(0, 2);
  rotateXor(2, 13, 0);
  swap(0);
  add(4, 6);
  rotateXor(6, 16, 4);
  add(0, 6);
  rotateXor(6, 21, 0);
  add(4, 2);
  rotateXor(2, 17, 4);
  swap(4);
}

const u32le = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);

/** Writes the 8 octets of the hash of `data[0..length)` under a 16-octet key to `out` at `at`. */
export function sipHash24(key: Uint8Array, data: Uint8Array, length: number, out: Uint8Array, at: number): void {
  const k0 = u32le(key, 0);
  const k1 = u32le(key, 4);
  const k2 = u32le(key, 8);
  const k3 = u32le(key, 12);
  v[0] = k0 ^ 0x70736575;
  v[1] = k1 ^ 0x736f6d65;
  v[2] = k2 ^ 0x6e646f6d;
  v[3] = k3 ^ 0x646f7261;
  v[4] = k0 ^ 0x6e657261;
  v[5] = k1 ^ 0x6c796765;
  v[6] = k2 ^ 0x79746573;
  v[7] = k3 ^ 0x74656462;
  const whole = length & ~7;
  for (let i = 0; i < whole; i += 8) block(u32le(data, i), u32le(data, i + 4));
  let low = 0;
  let high = length << 24;
  for (let i = whole; i < length; i++) {
    const place = i - whole;
    if (place < 4) low |= data[i]! << (8 * place);
    else high |= data[i]! << (8 * (place - 4));
  }
  block(low, high);
  v[4] = v[4]! ^ 0xff;
  for (let i = 0; i < 4; i++) round();
  const a = v[0]! ^ v[2]! ^ v[4]! ^ v[6]!;
  const b = v[1]! ^ v[3]! ^ v[5]! ^ v[7]!;
  for (let i = 0; i < 4; i++) {
    out[at + i] = (a >>> (8 * i)) & 0xff;
    out[at + 4 + i] = (b >>> (8 * i)) & 0xff;
  }
}

function block(low: number, high: number): void {
  v[6] = v[6]! ^ low;
  v[7] = v[7]! ^ high;
  round();
  round();
  v[0] = v[0]! ^ low;
  v[1] = v[1]! ^ high;
}
