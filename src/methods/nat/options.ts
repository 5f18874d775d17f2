import { z } from "zod";
import { planeOptions } from "../../dataplane/plane-options.ts";

/** What stands under `nat:` of a service. */
export const options = z.strictObject({
  engine: z
    .enum(["auto", "xdp", "nftables"])
    .default("auto")
    .describe("Which of the kernel's two ways rewrites packets. auto: xdp where it can, else nftables."),
  helper: z
    .enum(["ftp"])
    .optional()
    .describe("A protocol that names addresses inside its own words. nftables engine only."),
  masquerade: z
    .boolean()
    .default(false)
    .describe(
      "Backends see the director as the client: they need no gateway, and clients may stand in their network. nftables engine only.",
    ),
  hairpin: z
    .boolean()
    .default(false)
    .describe(
      "Backends may themselves be clients of the VIP: for them alone the director is the client. nftables engine only.",
    ),
  idle: planeOptions.shape.idle.describe(
    "How long a silent flow still belongs to its backend when the set changes. xdp engine; conntrack has its own.",
  ),
  oneShot: planeOptions.shape.oneShot.describe(
    "UDP of one packet each way, such as DNS: every packet may go to another backend. xdp engine.",
  ),
  sticky: planeOptions.shape.sticky.describe(
    "All of a client's flows, or of its network's, have one backend. For maglev and source-hash, on the xdp engine.",
  ),
  quic: planeOptions.shape.quic.describe("Connection IDs of QUIC name the backend (docs/quic.md). xdp engine."),
  byLoad: planeOptions.shape.byLoad.describe(
    "Backends whose agent reports a load get less new work the busier they are, besides their weights. xdp engine.",
  ),
  devices: planeOptions.shape.devices.describe(
    "Further interfaces on which clients arrive, besides those of VIPs and backends. xdp engine.",
  ),
  limits: planeOptions.shape.limits.describe(
    "How much sources may send to this service. Absent: as much as they like. xdp engine only.",
  ),
});

export type NatOptions = z.infer<typeof options>;
