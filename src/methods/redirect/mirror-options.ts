import { z } from "zod";
import { parseEndpoint } from "../../core/address.ts";
import { duration } from "../../core/schema-words.ts";
import { urlFault } from "./location.ts";

const HOUR = 3_600_000;

const url = z.string().superRefine((text, context) => {
  const fault = urlFault(text);
  if (fault !== null) context.addIssue({ code: "custom", message: `${JSON.stringify(text)} is no place: ${fault}.` });
});
const endpoint = z
  .string()
  .refine((text) => parseEndpoint(text, true) !== null, "Write ADDRESS or ADDRESS:PORT (an IP address).");

/** What stands under `mirrors:` of a redirect service. Durations as words, parsed to ms. */
export const mirrors = z.strictObject({
  reference: z
    .union([endpoint, z.strictObject({ address: endpoint, url: url.optional() })])
    .optional()
    .describe("Where the files come from: what it has is the truth. Default: what most backends have."),
  fallback: url.optional().describe("Where clients go while no backend has a file. Default: 404."),
  wait: duration({ max: 60_000 })
    .prefault("500ms")
    .describe("How long the first requests for a file wait for the answers of the backends."),
  fresh: duration({ min: 100, max: 24 * HOUR })
    .prefault("10m")
    .describe("How long it is believed who has a file; then it is asked again, beside the traffic."),
  missing: duration({ min: 100, max: HOUR }).prefault("30s").describe("How long it is believed that nobody has it."),
  timeout: duration({ min: 10, max: 60_000 }).prefault("2s").describe("How long a backend may take to answer."),
  files: z.int().min(1).max(10_000_000).default(50_000).describe("Files that a worker remembers."),
  probes: z.int().min(1).max(1000).default(16).describe("Files that a worker asks for at a time; others wait."),
  links: z.int().min(0).max(50).default(5).describe("Most Link fields of other mirrors in an answer (RFC 6249)."),
  statistics: z.int().min(0).max(100_000).default(1000).describe("Files whose requests are counted; the most wanted."),
});
export type MirrorOptions = z.output<typeof mirrors>;
