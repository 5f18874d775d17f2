import { z } from "zod";
import { duration } from "../core/schema-words.ts";
import { limits } from "./guard/schema.ts";

const HOUR = 3_600_000;

/** What stands under a kernel method's own key of a service, whatever the method. */
export const planeOptions = z.strictObject({
  idle: z
    .strictObject({
      tcp: duration({ min: 1000, max: 12 * HOUR })
        .prefault("15m")
        .describe("Of a TCP connection."),
      udp: duration({ min: 1000, max: 12 * HOUR })
        .prefault("60s")
        .describe("Of a UDP flow."),
    })
    .prefault({})
    .describe("How long a silent flow still belongs to its backend when the set of backends changes."),
  oneShot: z
    .boolean()
    .default(false)
    .describe("UDP of one packet each way, such as DNS: every packet may go to another backend."),
  sticky: z
    .strictObject({
      source: z.int().min(1).max(32).default(32).describe("Leading bits of an IPv4 address: 24 is its /24."),
      source6: z.int().min(1).max(128).default(64).describe("Leading bits of an IPv6 address."),
    })
    .optional()
    .describe("All of a client's flows, or of its network's, have one backend. For maglev and source-hash."),
  quic: z
    .boolean()
    .default(false)
    .describe("Connection IDs of QUIC name the backend, as docs/quic.md says: connections follow a client that moves."),
  byLoad: z
    .boolean()
    .default(false)
    .describe("Backends whose agent reports a load get less new work the busier they are, besides their weights."),
  devices: z
    .array(z.string().regex(/^[^\s/]{1,15}$/))
    .default([])
    .describe("Further interfaces on which clients arrive, besides those of VIPs and backends."),
  limits: limits.optional().describe("How much sources may send to this service. Absent: as much as they like."),
});

export type PlaneOptions = z.infer<typeof planeOptions>;
