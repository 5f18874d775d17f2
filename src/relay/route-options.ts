import { z } from "zod";

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Fields that frame a message, end at this hop, or are written here. */
const ours = new Set(
  "connection content-length expect host keep-alive max-forwards proxy-connection te trailer transfer-encoding upgrade via".split(
    " ",
  ),
);
const name = z
  .string()
  .regex(token, "Write a field's name, such as X-Team.")
  .refine((text) => !ours.has(text.toLowerCase()), "This field is the proxy's own work.");
const value = z
  .string()
  .max(4096)
  .regex(/^[\t -~]*$/, "Write a field's value in printable ASCII.");
/** Judges the keys of a record, each at its own place. */
const namesAre =
  (schema: z.ZodType<string>) =>
  (fields: Record<string, unknown>, context: z.RefinementCtx): void => {
    for (const key of Object.keys(fields))
      for (const { message } of schema.safeParse(key).error?.issues ?? [])
        context.addIssue({ code: "custom", message, path: [key] });
  };
const edits = (of: string) => ({
  set: z
    .record(z.string(), value)
    .superRefine(namesAre(name))
    .refine((fields) => Object.keys(fields).length <= 32, "At most 32 fields.")
    .default({})
    .describe(`Fields of the ${of} to write, instead of those of the same name.`),
  remove: z.array(name).default([]).describe(`Fields of the ${of} to take away.`),
});
const path = z.string().regex(/^\/[!-"$->@-~]*$/, "Write a path that begins with / and has no query.");

/** What a request must be for a route, and what becomes of it then. */
export const route = z.strictObject({
  host: z
    .string()
    .regex(/^(\*\.)?[a-z0-9.-]+$/, "Write a host in lower case, or *. and a domain.")
    .optional()
    .describe("The request's host, without port; *. stands for one label or more."),
  path: path.optional().describe("The whole path, as sent, without the query."),
  prefix: path.optional().describe("The path or its beginning up to a slash: /api is for /api and /api/x, not /apis."),
  method: z.array(z.string().regex(token)).min(1).optional().describe("Any of these methods."),
  header: z
    .record(z.string(), z.union([z.literal(true), value]))
    .superRefine(namesAre(z.string().regex(token, "Write a field's name, such as X-Team.")))
    .default({})
    .describe("Fields that must be there (true), or have this value."),
  to: z
    .union([
      z.string().min(1),
      z.array(z.strictObject({ tag: z.string().min(1), weight: z.int().min(0).max(65_535).default(1) })).min(1),
    ])
    .optional()
    .describe("The tag whose backends get it, or several with weights. Absent: all backends."),
  request: z.strictObject(edits("request")).prefault({}).describe("Changes of the request's head."),
  response: z.strictObject(edits("response")).prefault({}).describe("Changes of the response's head."),
});

export type RouteOptions = z.output<typeof route>;

/** The tags that a route sends to, with their weights. */
export const tagsOf = ({ to }: Pick<RouteOptions, "to">): { tag: string; weight: number }[] =>
  to === undefined ? [] : typeof to === "string" ? [{ tag: to, weight: 1 }] : to;
