import { z } from "zod";
import { formatDuration, parseDuration, parseSize } from "./words.ts";

/**
 * Schema of a duration: text such as `500ms`, `2s`, `1h` in, ms out. Both ways, so that a parsed configuration can be
 * written again. Defaults are written as words: `duration().prefault("2s")`.
 */
export function duration(limits: { min?: number; max?: number } = {}) {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = limits;
  return z.codec(z.string("must be a duration such as 500ms, 2s or 1m"), z.number(), {
    decode: (text, context) => {
      const ms = parseDuration(text);
      if (ms !== null && ms >= min && ms <= max) return ms;
      const message =
        ms === null
          ? `${JSON.stringify(text)} is not a duration: write a number and a unit, such as 500ms, 2s or 1m.`
          : `${JSON.stringify(text)} is out of range: at least ${formatDuration(min)}${max < Number.MAX_SAFE_INTEGER ? `, at most ${formatDuration(max)}` : ""}.`;
      context.issues.push({ code: "custom", message, input: text });
      return z.NEVER;
    },
    encode: (ms) => formatDuration(ms),
  });
}

/** Schema of a size: text such as `512B`, `64KiB`, `1MiB` in, bytes out; both ways. */
export function size(limits: { min?: number; max?: number } = {}) {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = limits;
  return z.codec(z.string("must be a size such as 512B, 64KiB or 1MiB"), z.number(), {
    decode: (text, context) => {
      const bytes = parseSize(text);
      if (bytes !== null && bytes >= min && bytes <= max) return bytes;
      const message =
        bytes === null
          ? `${JSON.stringify(text)} is not a size: write a number and a unit, such as 512B, 64KiB or 1MiB.`
          : `${JSON.stringify(text)} is out of range: at least ${formatSize(min)}${max < Number.MAX_SAFE_INTEGER ? `, at most ${formatSize(max)}` : ""}.`;
      context.issues.push({ code: "custom", message, input: text });
      return z.NEVER;
    },
    encode: formatSize,
  });
}

/** Schema of the bits by which clients of IPv6 are told apart where they are counted (`clientNetwork`). */
export const ipv6Prefix = z
  .int()
  .min(1)
  .max(128)
  .default(64)
  .describe("Bits of an IPv6 address that count: an owner of a network has all addresses of it. IPv4 counts whole.");

/** Bytes to the shortest size word that parses back to the same. */
function formatSize(bytes: number): string {
  for (const [unit, scale] of [
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
  ] as const) {
    if (bytes >= scale && bytes % scale === 0) return `${bytes / scale}${unit}`;
  }
  return `${bytes}B`;
}
