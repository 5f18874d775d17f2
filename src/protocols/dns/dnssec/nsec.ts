import { parentName } from "../name.ts";
import { MAX_LABEL, MAX_NAME } from "../numbers.ts";

/**
 * The type bitmap of NSEC (RFC 4034 4.1.2): windows of 256 types, each as long as its last type needs. `types` in any
 * order.
 */
export function typeBitmap(types: Iterable<number>): Uint8Array {
  const windows = new Map<number, Uint8Array>();
  for (const type of types) {
    const window = windows.get(type >> 8) ?? new Uint8Array(32);
    windows.set(type >> 8, window);
    window[(type & 255) >> 3]! |= 0x80 >> (type & 7);
  }
  const out: number[] = [];
  for (const [number, window] of [...windows].sort(([a], [b]) => a - b)) {
    const length = window.findLastIndex((octet) => octet !== 0) + 1;
    out.push(number, length, ...window.subarray(0, length));
  }
  return Uint8Array.from(out);
}

/** Types of a bitmap, rising; null when it is not one. For tests and tools. */
export function bitmapTypes(bitmap: Uint8Array): number[] | null {
  const types: number[] = [];
  let last = -1;
  for (let at = 0; at < bitmap.length; ) {
    const [window, length] = [bitmap[at]!, bitmap[at + 1] ?? 0];
    if (window <= last || length < 1 || length > 32 || at + 2 + length > bitmap.length) return null;
    for (let i = 0; i < length * 8; i++)
      if (bitmap[at + 2 + (i >> 3)]! & (0x80 >> (i & 7))) types.push((window << 8) | i);
    last = window;
    at += 2 + length;
  }
  return types;
}

/**
 * The name right after this one in canonical order (RFC 4034 6.1): `\000` below it; where that is longer than a name
 * may be, RFC 4471 3.1's way: the first label one octet longer, or its last octet that can grow grown. Lower case.
 */
export function nextName(name: Uint8Array): Uint8Array {
  if (name.length + 2 <= MAX_NAME) return Uint8Array.from([1, 0, ...name]);
  for (let at: Uint8Array | null = name; at !== null && at[0] !== 0; at = parentName(at)) {
    const size = at[0]!;
    const rest = at.subarray(1 + size);
    const label = [...at.subarray(1, 1 + size)];
    if (size < MAX_LABEL && at.length < MAX_NAME) return Uint8Array.from([size + 1, ...label, 0, ...rest]);
    while (label.at(-1) === 255) label.pop();
    if (label.length === 0) continue;
    const last = label.at(-1)! + 1;
    // Upper case is folded: the octet after `@` is `[`.
    label[label.length - 1] = last === 65 ? 91 : last;
    return Uint8Array.from([label.length, ...label, ...rest]);
  }
  return new Uint8Array(1);
}

/** NSEC that speaks of one name alone (RFC 9824 3): from it to the next possible one. */
export const compactNsec = (owner: Uint8Array, types: Iterable<number>): Uint8Array =>
  Uint8Array.from([...nextName(owner), ...typeBitmap(types)]);
