import { z } from "zod";

/** What stands under `nat:` of a service. */
export const options = z.strictObject({
  /** Which of the kernel's two ways rewrites packets. `auto`: xdp where it can attach, else nftables. */
  engine: z.enum(["auto", "xdp", "nftables"]).default("auto"),
  /** A protocol that names addresses inside its own words and so needs the kernel's helper. nftables engine only. */
  helper: z.enum(["ftp"]).optional(),
  /**
   * Backends see the director's address as the client's: they need no gateway, and clients may stand in their own
   * network, but backends no longer know who asks. nftables engine only.
   */
  masquerade: z.boolean().default(false),
});

export type NatOptions = z.infer<typeof options>;

/** The engine that is meant: what only nftables can do decides `auto`. */
export const wantedEngine = (o: NatOptions): NatOptions["engine"] =>
  o.engine === "auto" && (o.helper !== undefined || o.masquerade) ? "nftables" : o.engine;
