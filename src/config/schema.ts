import { z } from "zod";
import type { Catalog } from "../catalog.ts";
import type { CheckDefinition } from "../core/check.ts";
import { duration } from "../core/schema-words.ts";
import { guardLists } from "../dataplane/guard/schema.ts";
import { geo, places } from "../geo/schema.ts";
import { agent, backend, checkTiming, hostName, listener, SERVICE_NAME } from "./fields.ts";

const names = (list: readonly { name: string }[]) => list.map((entry) => entry.name);
const isMapping = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

/** For a schema that takes short forms by preprocessing: the schema that shows an editor what may be written. */
const shown = new WeakMap<z.core.$ZodType, z.ZodType>();

/** A schema that takes `true`, text … where the definition's `fromShort` makes options of it. */
function checkKind(definition: CheckDefinition): z.ZodType {
  const { options, fromShort } = definition;
  if (!fromShort) return options.describe(definition.summary);
  const schema = z.preprocess((value) => (isMapping(value) ? value : fromShort(value)), options);
  const takes = (short: unknown): boolean => options.safeParse(attempt(fromShort, short)).success;
  const short = [...(takes(true) ? [z.literal(true)] : []), ...(takes("/") ? [z.string()] : [])];
  const visible = z.union([...short, options]).describe(definition.summary);
  const described = schema.describe(definition.summary);
  shown.set(described, visible);
  return described;
}

function attempt(make: (value: unknown) => unknown, value: unknown): unknown {
  try {
    return make(value);
  } catch {
    return undefined;
  }
}

/** A mapping that must hold exactly one of `keys` (besides others). */
const exactlyOne =
  (keys: readonly string[], what: string) => (value: Record<string, unknown>, context: z.RefinementCtx) => {
    const given = keys.filter((key) => value[key] !== undefined);
    if (given.length === 1) return;
    const message =
      given.length === 0
        ? `${what} needs one of: ${keys.join(", ")}.`
        : `${what} can be only one of: ${given.join(", ")}.`;
    context.addIssue({ code: "custom", message });
  };

function schedulerSchema(catalog: Catalog): z.ZodType {
  const byName = Object.fromEntries(
    catalog.schedulers.map((s) => [s.name, s.options.optional().describe(s.summary)] as const),
  );
  const mapping = z.strictObject(byName).superRefine(exactlyOne(names(catalog.schedulers), "scheduler"));
  const word = z.enum(names(catalog.schedulers) as [string, ...string[]]);
  return z
    .union([word, mapping])
    .describe("Picks a backend. A word, or {word: {its options}}. Default: by the method.");
}

function checkSchema(catalog: Catalog): z.ZodType {
  const kinds = Object.fromEntries(catalog.checks.map((c) => [c.name, checkKind(c).optional()] as const));
  const mapping = z.strictObject({ ...kinds, ...checkTiming }).superRefine(exactlyOne(names(catalog.checks), "check"));
  return z
    .union([z.literal("none"), mapping])
    .describe("How backends are checked. Default: tcp where there is a TCP port. none: all are taken as up.");
}

/** Schema of one service. Keys that stand for a method hold its own options, also while another method is chosen. */
export function serviceSchema(catalog: Catalog) {
  const own = Object.fromEntries(
    catalog.methods.map(
      (m) => [m.name, m.options.optional().describe(`What ${m.name} alone has. ${m.summary}`)] as const,
    ),
  );
  return z.strictObject({
    method: z
      .enum(names(catalog.methods) as [string, ...string[]])
      .describe(`How traffic is spread. ${catalog.methods.map((m) => `${m.name}: ${m.summary}`).join(" ")}`),
    listen: z.array(listener).max(256).default([]).describe("Addresses where clients arrive."),
    names: z.array(hostName).max(1024).default([]).describe("Names that clients use."),
    scheduler: schedulerSchema(catalog).optional(),
    nearest: z
      .boolean()
      .default(false)
      .describe("Clients of a place get the backends that have its name as a tag, while one of them is eligible."),
    backends: z.array(backend).max(10_000).describe("The addresses that serve this service."),
    check: checkSchema(catalog).optional(),
    agent: agent.optional(),
    ...own,
  });
}

/** Where clients are, for all services. */
const geographyKeys = { places: places.prefault({}), geo: geo.optional() };

/** The top-level keys that say where clients are, by themselves. */
export const geographySchema = z.object(geographyKeys);

/** Schema of a whole configuration, strict, from the product's lists. In: what is written. Out: parsed, with defaults. */
export function configSchema(catalog: Catalog) {
  const settings = Object.fromEntries(
    catalog.methods
      .filter((m) => m.settings)
      .map((m) => [m.name, m.settings!.optional().describe(`What all ${m.name} services share.`)] as const),
  );
  return z.strictObject({
    $schema: z.string().optional().describe("For editors."),
    version: z.literal(1).describe("Version of this file's form."),
    services: z
      .record(z.string().regex(SERVICE_NAME), serviceSchema(catalog))
      .describe("Services by name: lower-case letters, digits and dashes, at most 63."),
    workers: z.int().min(1).max(256).optional().describe("Worker processes. Default: one per core."),
    log: z
      .strictObject({
        level: z.enum(["debug", "info", "warn", "error"]).default("info").describe("Least weight of a line."),
        format: z.enum(["text", "json"]).default("text").describe("For people or for programs."),
      })
      .prefault({})
      .describe("The daemon's own log, on standard error."),
    drain: duration({ max: 86_400_000 })
      .prefault("30s")
      .describe("How long connections may go on after a reload or stop before they are cut."),
    start: z
      .strictObject({
        remembered: duration({ min: 1000, max: 86_400_000 }).describe("How old that may be. Kept young while it runs."),
      })
      .optional()
      .describe("Serve at once by what the last daemon had found. Default: first checks are waited for."),
    secret: z
      .string()
      .min(8)
      .max(1024)
      .optional()
      .describe(
        "Directors that share it choose alike: an active one and its standbys. Read at start. Default: random.",
      ),
    ...geographyKeys,
    guard: guardLists.optional(),
    ...settings,
  });
}

/** JSON Schema (draft 7) of what may be written, for editors. */
export function jsonSchema(catalog: Catalog): Record<string, unknown> {
  const schema = configSchema(catalog);
  const options = { io: "input", target: "draft-7", unrepresentable: "any" } as const;
  const made = z.toJSONSchema(schema, {
    ...options,
    override: ({ zodSchema, jsonSchema: target }) => {
      // zod leaves the default out where something inside has a parsed form of its own; what is no number is the same in both.
      if (zodSchema instanceof z.ZodDefault && typeof zodSchema.def.defaultValue !== "number")
        target.default ??= zodSchema.def.defaultValue as typeof target.default;
      const visible = shown.get(zodSchema);
      if (!visible) return;
      const { $schema: _, ...rest } = z.toJSONSchema(visible, options);
      for (const key of Object.keys(target)) delete (target as Record<string, unknown>)[key];
      Object.assign(target, rest);
    },
  });
  return { title: "Sluice configuration", ...made } as Record<string, unknown>;
}
