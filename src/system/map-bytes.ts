import { readFileSync } from "node:fs";

/** Bytes that the kernel keeps for a BPF map, by its own word: what is mapped counts in full, a trie by what it holds. */
export function mapBytes(map: number): number {
  const line = /^memlock:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${map}`, "utf8"));
  return Number(line?.[1] ?? 0);
}
