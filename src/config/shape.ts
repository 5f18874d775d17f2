import { z } from "zod";
import type { Path } from "../core/problem.ts";

/** The schemas directly under a wrapper (optional, default, pipe, union …). */
function inside(schema: z.core.$ZodType): z.core.$ZodType[] {
  if (schema instanceof z.ZodUnion) return [...schema.options];
  if (schema instanceof z.ZodPipe) return [schema.in, schema.out].filter((s) => !(s instanceof z.ZodTransform));
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodReadonly ||
    schema instanceof z.ZodCatch ||
    schema instanceof z.ZodNonOptional
  )
    return [schema.unwrap()];
  if (schema instanceof z.ZodLazy) return [schema.unwrap()];
  return [];
}

/** Every schema that a value at `path` could be judged by. */
function schemasAt(schema: z.core.$ZodType, path: Path): z.core.$ZodType[] {
  const below = inside(schema).flatMap((s) => schemasAt(s, path));
  const [part, ...rest] = path;
  if (part === undefined) return [schema, ...below];
  if (schema instanceof z.ZodObject) {
    const child = Object.hasOwn(schema.shape, part) ? schema.shape[part as string] : undefined;
    return child ? schemasAt(child, rest) : below;
  }
  if (schema instanceof z.ZodRecord) return schemasAt(schema.valueType, rest);
  if (schema instanceof z.ZodArray) return schemasAt(schema.element, rest);
  return below;
}

/** The keys that a mapping at `path` may have; empty when it may not be a mapping of fixed keys. */
export function keysAt(schema: z.core.$ZodType, path: Path): string[] {
  const keys = schemasAt(schema, path).flatMap((s) => (s instanceof z.ZodObject ? Object.keys(s.shape) : []));
  return [...new Set(keys)].filter((key) => key !== "$schema");
}

/** The words that a value at `path` may be: enums and literals. */
export function wordsAt(schema: z.core.$ZodType, path: Path): string[] {
  const words = schemasAt(schema, path).flatMap((s) =>
    s instanceof z.ZodEnum ? s.options.map(String) : s instanceof z.ZodLiteral ? [...s.values].map(String) : [],
  );
  return [...new Set(words)];
}
