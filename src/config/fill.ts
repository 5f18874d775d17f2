import { z } from "zod";

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * A value as written, with the defaults of its schema filled in, still in the written form (`2s`, not 2000): what
 * comes out parses to the same as what went in. `value` must be valid; undefined takes the schema's own default.
 */
export function fillDefaults(schema: z.core.$ZodType, value: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodReadonly)
    return value === undefined || value === null ? value : fillDefaults(schema.unwrap(), value);
  if (schema instanceof z.ZodPrefault)
    return fillDefaults(schema.unwrap(), value === undefined ? schema.def.defaultValue : value);
  if (schema instanceof z.ZodDefault)
    return fillDefaults(schema.unwrap(), value === undefined ? inputForm(schema) : value);
  if (schema instanceof z.ZodPipe) {
    const { in: first, out } = schema;
    return first instanceof z.ZodTransform ? fillDefaults(out, value) : fillDefaults(first, value);
  }
  if (schema instanceof z.ZodObject && isMapping(value)) return fillMapping(schema, value);
  if (schema instanceof z.ZodArray && Array.isArray(value)) return value.map((v) => fillDefaults(schema.element, v));
  if (schema instanceof z.ZodUnion) {
    const branch = schema.options.find((option) => z.safeParse(option, value).success);
    return branch ? fillDefaults(branch, value) : value;
  }
  return value;
}

function fillMapping(schema: z.ZodObject, value: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(schema.shape).map(([key, part]) => [key, fillDefaults(part, value[key])] as const);
  return Object.fromEntries(entries.filter(([, filled]) => filled !== undefined));
}

/** A default is kept in its parsed form; written it may be another word. */
function inputForm(schema: z.ZodDefault): unknown {
  try {
    return z.encode(schema.unwrap() as z.ZodType, schema.def.defaultValue);
  } catch {
    return schema.def.defaultValue;
  }
}
