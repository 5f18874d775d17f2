import { hashText, mix32 } from "../../core/hash.ts";

/** Addresses to u32 keys under a seed. IPv4 text is read without making anything; it is most of what arrives. */
export function clientKeys(seed: number): (address: string) => number {
  return (address) => {
    let value = 0;
    let part = 0;
    for (let i = 0; i < address.length; i++) {
      const code = address.charCodeAt(i);
      if (code === DOT) {
        value = (value << 8) | part;
        part = 0;
      } else if (code >= ZERO && code <= NINE) {
        part = part * 10 + code - ZERO;
      } else {
        return hashText(address, seed);
      }
    }
    return mix32(((value << 8) | part) ^ seed);
  };
}

const DOT = 46;
const ZERO = 48;
const NINE = 57;
