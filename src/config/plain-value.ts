import type { Path } from "../core/problem.ts";

/** The one key that an object of JavaScript takes for something else: what stands under it would silently be left out. */
export const NO_KEY = "__proto__";

/** Most values that a configuration may hold, and how deep they may lie: stops what refers to itself. */
const MAX_VALUES = 500_000;
const MAX_DEPTH = 64;

/**
 * A value that a program made, as plain JSON, with the paths of its functions, which become null; absent values go.
 * Refuses (by a sentence) what JSON cannot hold: cycles, dates, maps, numbers that are not finite.
 */
export function toPlainValue(value: unknown): { value: unknown; functions: Path[] } | { refused: string } {
  const functions: Path[] = [];
  /** Where `convert` is. */
  const path: (string | number)[] = [];
  let count = 0;
  const below = (key: string | number, part: unknown): unknown => {
    path.push(key);
    const converted = convert(part);
    path.pop();
    return converted;
  };
  const convert = (part: unknown): unknown => {
    if (++count > MAX_VALUES || path.length > MAX_DEPTH)
      throw new Refused("The configuration is too large, or holds itself");
    if (part === null || typeof part === "string" || typeof part === "boolean") return part;
    if (typeof part === "number" && Number.isFinite(part)) return part;
    if (Array.isArray(part)) return part.map((item, i) => below(i, item));
    if (typeof part === "object" && isPlain(part)) {
      const entries = Object.entries(part).filter(([, item]) => item !== undefined);
      if (Object.hasOwn(part, NO_KEY)) throw new Refused(`${JSON.stringify(NO_KEY)} cannot be a name or a key`);
      return Object.fromEntries(entries.map(([key, item]) => [key, below(key, item)]));
    }
    if (typeof part === "function") {
      functions.push([...path]);
      return null;
    }
    throw new Refused(
      `${path.join(".") || "The configuration"} is neither text, number, true, false, list nor mapping`,
    );
  };
  try {
    return { value: convert(value), functions };
  } catch (error) {
    return { refused: error instanceof Refused ? error.message : `The configuration cannot be read: ${String(error)}` };
  }
}

class Refused extends Error {}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
