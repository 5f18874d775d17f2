import { z } from "zod";
import { parsePattern } from "./pattern/syntax.ts";

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
/** Fields that frame a message, end at this hop, or are written here. */
const ours = new Set(
  "connection content-length expect host keep-alive max-forwards proxy-connection te trailer transfer-encoding upgrade via".split(
    " ",
  ),
);
const anyField = z.string().regex(token, "Write a field's name, such as X-Team, of at most 128 characters.");
const name = anyField.refine((text) => !ours.has(text.toLowerCase()), "This field is the proxy's own work.");
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
  remove: z
    .array(name)
    .max(64)
    .default([])
    .describe(`Fields of the ${of} to take away, also where _ or . stands for - in their name.`),
});
const path = z
  .string()
  .max(8192)
  .regex(/^\/[!-"$->@-~]*$/, "Write a path that begins with / and has no query.");
const regex = z.string().superRefine((text, context) => {
  const read = parsePattern(text);
  if (typeof read === "string") context.addIssue({ code: "custom", message: read });
});
const text = z.string().max(4096);
/** Things that must be there, or have a value. */
const wanted = z.record(z.string().min(1).max(256), z.union([z.literal(true), text]));

const query = z
  .strictObject({
    set: z
      .record(z.string().min(1).max(256), text)
      .refine((set) => Object.keys(set).length <= 32, "At most 32 parameters.")
      .default({})
      .describe("Parameters to write at the end, instead of those of the same name."),
    remove: z.array(z.string().min(1).max(256)).max(32).default([]).describe("Parameters to take away."),
  })
  .prefault({})
  .describe("Changes of the query. Names and values are written plainly; they are encoded where they must be.");

/** What a request must be for a route, and what becomes of it then. */
export const route = z.strictObject({
  host: z
    .string()
    .regex(/^(\*\.)?[a-z0-9.-]+$/, "Write a host in lower case, or *. and a domain.")
    .optional()
    .describe("The request's host, without port; *. stands for one label or more."),
  path: path.optional().describe("The whole path, as sent, without the query."),
  prefix: path.optional().describe("The path or its beginning up to a slash: /api is for /api and /api/x, not /apis."),
  regex: regex
    .optional()
    .describe(
      "A regular expression for the whole path, as sent: characters, . [ ] ( ) | * + ? {2}, \\d and \\w; no looking around.",
    ),
  method: z.array(z.string().regex(token)).min(1).optional().describe("Any of these methods."),
  header: z
    .record(z.string(), z.union([z.literal(true), value]))
    .superRefine(namesAre(anyField))
    .default({})
    .describe("Fields that must be there (true), or have this value."),
  query: wanted
    .default({})
    .describe("Parameters of the query that must be there (true), or have this value; compared decoded."),
  cookie: z
    .record(z.string(), z.union([z.literal(true), text]))
    .superRefine(namesAre(z.string().regex(token, "Write a cookie's name of at most 128 characters.")))
    .default({})
    .describe("Cookies that must be there (true), or have this value."),
  place: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1).max(64)])
    .optional()
    .describe("The client's place, or several, by the top-level key places."),
  to: z
    .union([
      z.string().min(1),
      z.array(z.strictObject({ tag: z.string().min(1), weight: z.int().min(0).max(65_535).default(1) })).min(1),
    ])
    .optional()
    .describe("The tag whose backends get it, or several with weights. Absent: all backends."),
  request: z
    .strictObject({
      ...edits("request"),
      path: path.optional().describe("The path to ask the backend for, instead of the whole path."),
      prefix: path.optional().describe("What to write instead of the route's prefix: / takes it away."),
      query,
    })
    .prefault({})
    .describe("Changes of the request's head."),
  response: z.strictObject(edits("response")).prefault({}).describe("Changes of the response's head."),
});

export type RouteOptions = z.output<typeof route>;

/** The tags that a route sends to, with their weights. */
export const tagsOf = ({ to }: Pick<RouteOptions, "to">): { tag: string; weight: number }[] =>
  to === undefined ? [] : typeof to === "string" ? [{ tag: to, weight: 1 }] : to;

/** The places whose clients a route is for; empty: all clients. */
export const placesOfRoute = ({ place }: Pick<RouteOptions, "place">): string[] =>
  place === undefined ? [] : typeof place === "string" ? [place] : place;
