import { expect, test } from "bun:test";
import { holds } from "./capabilities.ts";
import { createLru, keysOf, updateElement } from "./libbpf.ts";
import { closeFd } from "./net.ts";

const missing = holds("CAP_BPF") ? null : "this process lacks CAP_BPF";
if (missing) console.log(`skipped: maps: ${missing}`);

test.skipIf(missing !== null)("the keys of a map are read once each, and never more of them than it may hold", () => {
  const map = createLru("keys", 4, 4, 64);
  const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
  try {
    for (let i = 0; i < 8; i++) updateElement(map, word(i), word(i));
    const read = (most: number): number[] => keysOf(map, 4, most).map((key) => key[0]!);
    expect(read(64).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    // As when packets put others in their place while it reads, so that it never comes to an end.
    expect(read(3)).toHaveLength(3);
    expect(read(0)).toEqual([]);
  } finally {
    closeFd(map);
  }
});
