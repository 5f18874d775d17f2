import { statSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import type { ListFile } from "../../core/service.ts";
import { network } from "../../geo/schema.ts";
import { Limit } from "../generated/layout.ts";
import { readListFile } from "./list-file.ts";

/** A file of networks. It is read here, so that a wrong one refuses the configuration. */
const listFile = z.codec(z.string().min(1), z.custom<ListFile>(), {
  decode: (written, context): ListFile => {
    const file = resolve(written);
    try {
      const { size, mtimeMs } = statSync(file);
      return { file, state: `${readListFile(file).length} networks, ${size} bytes, ${mtimeMs}` };
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      const why = code === "ENOENT" ? "there is no such file" : (code ?? message);
      context.issues.push({ code: "custom", message: `${file} is no list of networks: ${why}.`, input: written });
      return z.NEVER;
    }
  },
  encode: ({ file }) => file,
});

const networks = (what: string) => z.array(network).max(Limit.LIST_ENTRIES).default([]).describe(what);
const files = (what: string) => z.array(listFile).max(64).default([]).describe(what);

/** ns in which a bucket may fill: its fill is told in 32 bits of 64 ns. */
const LONGEST_BURST_SECONDS = 270;

const rateMapping = z
  .strictObject({
    rate: z.int().min(1).max(1_000_000).describe("In a second."),
    burst: z.int().min(1).max(10_000_000).optional().describe("At once, after a pause. Default: a second's worth."),
  })
  .refine(
    ({ rate, burst }) => (burst ?? rate) / rate <= LONGEST_BURST_SECONDS,
    `burst is at most ${LONGEST_BURST_SECONDS} seconds' worth of rate`,
  );

const rate = (what: string) =>
  z
    .union([z.int().min(1).max(1_000_000), rateMapping])
    .optional()
    .describe(what);

/** Schema of the top-level key `guard:`. */
export const guardLists = z
  .strictObject({
    block: networks("Networks whose packets to VIPs are dropped."),
    blockFiles: files("Files of such networks, one a line; read anew at each reload."),
    allow: networks("Networks that no list and no limit touches; the longest prefix of all lists decides."),
    allowFiles: files("Files of such networks."),
    errors: z
      .strictObject({
        tooBig: rate(
          `That a packet does not fit. Default: ${Limit.TOO_BIG_RATE} in a second, ${Limit.TOO_BIG_BURST} at once.`,
        ),
        expired: rate(
          `That a packet's hops are used up. Default: ${Limit.EXPIRED_RATE} in a second, ${Limit.EXPIRED_BURST} at once.`,
        ),
      })
      .optional()
      .describe("ICMP errors that each CPU may send: whoever forges a source has no more than these sent there."),
  })
  .describe("Who may send to the VIPs of the xdp data plane, and how many ICMP errors it sends.");

/** Schema of `limits:` under a kernel method's own key. */
export const limits = z
  .strictObject({
    packetsPerSource: rate("Packets that one source may send in a second; of IPv6 a source is its /64."),
    connectionsPerSource: rate("TCP connections that one source may begin in a second."),
    connections: rate("TCP connections that may begin in a second, from all sources together."),
    prove: z
      .boolean()
      .default(false)
      .describe(
        "Beyond `connections` a new source is not refused but must prove that it is there: it is given a wrong answer to its SYN, which its system resets.",
      ),
  })
  .refine(({ prove, connections }) => !prove || connections !== undefined, {
    message: "prove needs connections: it begins beyond them.",
    path: ["prove"],
  });

export type Limits = z.output<typeof limits>;
