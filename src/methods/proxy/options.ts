import { z } from "zod";
import { duration, size } from "../../core/schema-words.ts";
import { clientLimits, clientTimeouts } from "../../relay/limits.ts";
import { isNetwork } from "../../relay/trust.ts";

const HOUR = 3_600_000;

/** What stands under `proxy:` of a service. Durations and sizes as words; parsed to ms and bytes. */
export const options = z.strictObject({
  timeouts: z
    .strictObject({
      ...clientTimeouts,
      connect: duration({ min: 10, max: HOUR }).prefault("3s").describe("To reach a backend; then another is tried."),
      response: duration({ min: 10, max: HOUR })
        .prefault("60s")
        .describe("From the last byte sent to a backend to the head of its response; then 504."),
      read: duration({ min: 100, max: HOUR }).prefault("60s").describe("Between two reads of a response's body."),
      pool: duration({ min: 100, max: HOUR })
        .prefault("15s")
        .describe("How long a backend connection may rest; less than the backend's own keep-alive time."),
      tunnel: duration({ min: 1000, max: 24 * HOUR })
        .prefault("1h")
        .describe("Without a byte in either direction after an upgrade."),
    })
    .prefault({})
    .describe("Time-outs."),
  limits: z
    .strictObject({
      ...clientLimits,
      body: size().prefault("10GiB").describe("Largest request body; beyond it 413. Bodies are never held whole."),
      response: size({ min: 1024, max: 256 * 1024 })
        .prefault("64KiB")
        .describe("Largest response head; beyond it 502."),
      pool: z.int().min(0).max(65_535).default(4096).describe("Idle connections kept per backend and worker."),
    })
    .prefault({})
    .describe("Bounds of what is read and kept."),
  retries: z
    .int()
    .min(0)
    .max(16)
    .default(2)
    .describe("How often a request is sent again, to another backend, when that is safe."),
  via: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .default("sluice")
    .describe("Our name in the Via field."),
  trusted: z
    .array(z.string().refine(isNetwork, "Write an address, or a network such as 10.0.0.0/8."))
    .default([])
    .describe("Clients whose X-Forwarded-* and Forwarded fields are taken as true; all others' are removed."),
  upgrades: z
    .array(
      z
        .string()
        .regex(/^[a-z0-9.-]+(\/[a-z0-9.]+)?$/, "Write the protocol in lower case, such as websocket.")
        .refine((word) => !word.startsWith("h2"), "An HTTP/2 upgrade would let requests pass unread."),
    )
    .default(["websocket"])
    .describe("Protocols that a client may upgrade to; other offers end here."),
});

export type ProxyOptions = z.output<typeof options>;
