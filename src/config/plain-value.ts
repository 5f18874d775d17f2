import type { Path } from "../core/problem.ts";

/** Most values that a configuration may hold, and how deep they may lie: stops what refers to itself. */
const MAX_VALUES = 500_000;
const MAX_DEPTH = 64;

/**
 * A value that a program made, as plain JSON: functions become `{ $fn: path }`, absent values go. Refuses (by a
 * sentence) what JSON cannot hold: cycles, dates, maps, numbers that are not finite.
 */
export function toPlainValue(value: unknown): { value: unknown } | { refused: string } {
  let count = 0;
  const convert = (part: unknown, path: Path): unknown => {
    if (++count > MAX_VALUES || path.length > MAX_DEPTH)
      throw new Refused("The configuration is too large, or holds itself");
    if (typeof part === "function") return { $fn: path.join(".") };
    if (part === null || typeof part === "string" || typeof part === "boolean") return part;
    if (typeof part === "number" && Number.isFinite(part)) return part;
    if (Array.isArray(part)) return part.map((item, i) => convert(item, [...path, i]));
    if (typeof part === "object" && isPlain(part)) {
      const entries = Object.entries(part).filter(([, item]) => item !== undefined);
      return Object.fromEntries(entries.map(([key, item]) => [key, convert(item, [...path, key])]));
    }
    throw new Refused(
      `${path.join(".") || "The configuration"} is neither text, number, true, false, list nor mapping`,
    );
  };
  try {
    return { value: convert(value, []) };
  } catch (error) {
    return { refused: error instanceof Refused ? error.message : `The configuration cannot be read: ${String(error)}` };
  }
}

class Refused extends Error {}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Paths of the function marks in a plain value. */
export function functionPaths(value: unknown): Path[] {
  const found: Path[] = [];
  const walk = (part: unknown, path: Path): void => {
    if (typeof part !== "object" || part === null) return;
    if (typeof (part as { $fn?: unknown }).$fn === "string") found.push(path);
    else for (const [key, item] of Object.entries(part)) walk(item, [...path, key]);
  };
  walk(value, []);
  return found;
}
