import { z } from "zod";
import { healthRules } from "../../checks/health-rules.ts";
import { duration, size } from "../../core/schema-words.ts";
import { network } from "../../geo/schema.ts";
import { accessLog } from "../../observe/access-log.ts";
import { acceptProxy, clientLimits, clientTimeouts } from "../../relay/limits.ts";
import { route } from "../../relay/route-options.ts";
import { sticky } from "../../relay/sticky.ts";

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
      read: duration({ min: 100, max: HOUR })
        .prefault("60s")
        .describe(
          "Between two reads of a response's body; also for a backend that answered early to take more of a request.",
        ),
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
      backend: z
        .int()
        .min(1)
        .max(1_000_000)
        .optional()
        .describe("Most requests at one backend at a time, over all workers; more wait in the queue. None by default."),
    })
    .prefault({})
    .describe("Bounds of what is read and kept."),
  queue: z
    .strictObject({
      size: z
        .int()
        .min(0)
        .max(1_000_000)
        .default(1024)
        .describe("Requests that may wait, over all workers; beyond it 503."),
      timeout: duration({ min: 1, max: HOUR }).prefault("5s").describe("How long one may wait; then 503."),
    })
    .prefault({})
    .describe(
      "Where requests wait while all backends they may go to are at limits.backend. Client addresses take turns.",
    ),
  retries: z
    .int()
    .min(0)
    .max(16)
    .default(2)
    .describe(
      "How often a request is sent again, to another backend, when that is safe; not counted is that a kept connection to one turns out closed.",
    ),
  retryBudget: z
    .strictObject({
      percent: z
        .int()
        .min(0)
        .max(100)
        .default(20)
        .describe("Most repeats under way, in percent of the requests under way in the worker."),
      least: z.int().min(0).max(10_000).default(32).describe("Repeats that are allowed at a time in any case."),
    })
    .prefault({})
    .describe("Bounds repeats of requests that a backend may have worked on; a failed connect is not counted."),
  retryOn: z
    .array(z.union([z.int().min(400).max(599), z.literal("timeout")]))
    .default([])
    .describe(
      "Statuses of a backend, or that it does not answer in time, that send an idempotent request without a body to another one.",
    ),
  health: z.strictObject(healthRules).prefault({}).describe("What is made of failures that requests meet."),
  routes: z
    .array(route)
    .max(10_000)
    .default([])
    .describe("Which backends get which requests, and changes of heads on the way. The first that fits is taken."),
  paths: z
    .enum(["plain", "as-sent"])
    .default("plain")
    .describe(
      "Where routes look at paths. plain: one that a backend may read so that another route fits (//, .., %61) is refused with 400; as-sent: it counts as it was sent.",
    ),
  sticky: sticky
    .optional()
    .describe(
      "Brings clients back to their backend: by a signed cookie, a field's value, or their address. Off by default.",
    ),
  mode: z
    .enum(["http", "tcp"])
    .default("http")
    .describe(
      "At TCP listeners. http: each request finds a backend of its own; tcp: a connection does, whatever it speaks.",
    ),
  udp: z
    .strictObject({
      idle: duration({ min: 10, max: HOUR })
        .prefault("60s")
        .describe("Without a datagram in either direction a session is over."),
      sessions: z
        .int()
        .min(1)
        .max(1_000_000)
        .default(10_000)
        .describe(
          "Most sessions at a listener, over all workers; a descriptor each. Beyond it those whose client may be forged make room.",
        ),
      oneShot: z
        .boolean()
        .default(false)
        .describe(
          "One datagram each way, such as DNS: each may go to another backend, and its answer ends the session.",
        ),
    })
    .prefault({})
    .describe("How datagrams are relayed, at listeners with /udp. limits.perAddress and retries hold too."),
  acceptProxy,
  sendProxy: z
    .enum(["v1", "v2"])
    .optional()
    .describe("Begin connections to backends with such a header. Each then carries one request, or one connection."),
  accessLog: accessLog.optional().describe("A line for each request that is over. None by default."),
  via: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .default("sluice")
    .describe("Our name in the Via field."),
  trusted: z
    .array(network)
    .default([])
    .describe("Clients whose X-Forwarded-* and Forwarded fields are taken as true; all others' are removed."),
  forwarded: z
    .boolean()
    .default(false)
    .describe(
      "Write Forwarded (RFC 7239) beside X-Forwarded-*. One that a trusted client began is added to in any case.",
    ),
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
