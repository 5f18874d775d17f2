import { z } from "zod";
import { accessLog } from "../../observe/access-log.ts";
import { acceptProxy, clientLimits, clientTimeouts } from "../../relay/limits.ts";
import { mirrors } from "./mirror-options.ts";

/** What stands under `redirect:` of a service. Durations and sizes as words; parsed to ms and bytes. */
export const options = z.strictObject({
  status: z
    .literal([301, 302, 303, 307, 308])
    .default(302)
    .describe("302: temporary; 307 and 308 keep the method; 301 and 308 are remembered by clients; 303 makes a GET."),
  scheme: z
    .enum(["http", "https"])
    .default("http")
    .describe("Scheme of the Location for backends without a url of their own."),
  mirrors: mirrors
    .optional()
    .describe(
      "The backends hold the same files: clients are sent to those that have the one they want. Off by default.",
    ),
  acceptProxy,
  timeouts: z.strictObject(clientTimeouts).prefault({}).describe("Time-outs."),
  accessLog: accessLog.optional().describe("A line for each request that is over. None by default."),
  limits: z.strictObject(clientLimits).prefault({}).describe("Bounds of what is read."),
});

export type RedirectOptions = z.output<typeof options>;
