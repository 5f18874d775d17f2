import { z } from "zod";
import { duration, ipv6Prefix, size } from "../core/schema-words.ts";
import { network } from "../geo/schema.ts";
import type { ClientLimits } from "./front.ts";

const HOUR = 3_600_000;

/** Time-outs of the client side, for the options of every method over HTTP. */
export const clientTimeouts = {
  head: duration({ min: 100, max: HOUR })
    .prefault("10s")
    .describe("From the first byte of a request's head to its last; also from the connection's start."),
  body: duration({ min: 100, max: HOUR }).prefault("30s").describe("Between two reads of a request's body."),
  idle: duration({ min: 100, max: HOUR }).prefault("60s").describe("Between two requests of a client connection."),
  stall: duration({ min: 100, max: HOUR })
    .prefault("60s")
    .describe("How long a client may take nothing of a response that waits for it."),
};

/** Who may say in a PROXY header whose a connection is; for the options of every method over HTTP. */
export const acceptProxy = z
  .array(network)
  .default([])
  .describe("Peers whose connections begin with a PROXY protocol header, version 1 or 2, which is believed.");

/** Bounds of requests, for the options of every method over HTTP. */
export const clientLimits = {
  head: size({ min: 512, max: 256 * 1024 })
    .prefault("16KiB")
    .describe("Largest request head; beyond it 431."),
  fields: z.int().min(8).max(1000).default(100).describe("Most header fields of a request; beyond it 431."),
  target: size({ min: 64, max: 128 * 1024 })
    .prefault("8KiB")
    .describe("Longest request target; beyond it 414."),
  connections: z
    .int()
    .min(1)
    .optional()
    .describe(
      "Connections of all clients at a listener, over all workers; beyond it 503. By default what the open files allow.",
    ),
  perAddress: z
    .int()
    .min(1)
    .optional()
    .describe(
      "Connections of one client address (of IPv6: network), over all workers; beyond it 429. None by default: many may share one.",
    ),
  ipv6Prefix,
  requests: z.int().min(1).default(10_000).describe("Requests on one client connection; then it is closed."),
};

/** The client side's limits out of parsed options. */
export function toClientLimits(
  timeouts: { head: number; body: number; idle: number; stall: number },
  limits: {
    head: number;
    fields: number;
    target: number;
    requests: number;
    connections?: number | undefined;
    perAddress?: number | undefined;
    ipv6Prefix: number;
  },
  body: number,
): ClientLimits {
  return {
    size: limits.head,
    fields: limits.fields,
    target: limits.target,
    body,
    requests: limits.requests,
    connections: limits.connections ?? Number.POSITIVE_INFINITY,
    perAddress: limits.perAddress ?? Number.POSITIVE_INFINITY,
    ipv6Prefix: limits.ipv6Prefix,
    headTimeout: timeouts.head,
    bodyTimeout: timeouts.body,
    idleTimeout: timeouts.idle,
    stallTimeout: timeouts.stall,
  };
}
