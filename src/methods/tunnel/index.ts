import { z } from "zod";
import type { Method } from "../../core/method.ts";
import { configProblem, type Problem } from "../../core/problem.ts";
import type { Service } from "../../core/service.ts";
import { Limit } from "../../dataplane/generated/layout.ts";
import { planeOptions } from "../../dataplane/plane-options.ts";
import { compilePlane, type PlaneService } from "../../dataplane/plane-service.ts";
import { realServerMethod } from "../../dataplane/real-server-method.ts";
import { parsePrefix } from "../../geo/prefix.ts";

/** Leading bits of the widest network: there are no more hosts in it than a hash has use for. */
const WIDEST = 8;

/** Multicast and reserved addresses, loopback and 0.0.0.0/8 are nobody's source (RFC 1122, 3.2.1.3). */
function isSourceNetwork(text: string): boolean {
  const prefix = parsePrefix(text);
  if (prefix === null || prefix.bytes.length !== 4 || prefix.length < WIDEST) return false;
  const first = prefix.bytes[0]!;
  return first !== 0 && first !== 127 && first < 224;
}

const options = planeOptions.extend({
  encapsulation: z
    .enum(["ipip", "gue"])
    .default("ipip")
    .describe(
      "What is put around packets: an IP header, or an IP and a UDP header whose source port spreads flows over queues.",
    ),
  source: z
    .string()
    .refine(
      isSourceNetwork,
      `must be an IPv4 network of unicast addresses such as 172.16.0.0/16, /${WIDEST} or longer, without host bits`,
    )
    .optional()
    .describe(
      "Network that outer IPv4 sources come from, another address for each flow. Absent: the director's own address.",
    ),
  secondChance: z
    .boolean()
    .default(false)
    .describe(
      "With gue: TCP packets name two more backends, and a real server without the connection's socket sends them on.",
    ),
});
type Options = z.infer<typeof options>;

const shared = realServerMethod({
  name: "tunnel",
  summary: "Wraps packets in IP or GUE in the kernel; real servers in any network answer clients directly.",
  layer: 3,
});

/** Wraps the packet in a second IP header; the real server unwraps it, holds the VIP and answers the client by itself. */
export const tunnel: Method<Options, PlaneService> = {
  ...shared,
  options,
  judge: (service) => [...(shared.judge?.(service) ?? []), ...judgeSecondChance(service)],
  compile: (service, snapshot, revision) => ({
    ...compilePlane(service, snapshot, revision),
    ...(service.options.encapsulation === "gue" ? { guePort: Limit.GUE_PORT } : {}),
    ...(service.options.source === undefined ? {} : { outerSource: service.options.source }),
    ...(service.options.secondChance ? { secondChance: true as const } : {}),
  }),
};
export default tunnel;

/** A second chance needs room in the header, and an order of backends for each slot. */
function judgeSecondChance({
  options: { secondChance, encapsulation, byLoad },
  scheduler,
  nearest,
}: Service<Options>): Problem[] {
  if (!secondChance) return [];
  const problem = (path: (string | number)[], message: string, hint: string): Problem =>
    configProblem("SLUICE_CONFIG_IMPOSSIBLE", path, message, { hint });
  const problems: Problem[] = [];
  const here = ["tunnel", "secondChance"];
  if (encapsulation !== "gue")
    problems.push(problem(here, "An IPIP header has no room for the names of others.", "Add encapsulation: gue."));
  if (scheduler.name !== "maglev")
    problems.push(
      problem(
        ["scheduler"],
        `A second chance needs the order in which slots prefer backends; ${scheduler.name} has none.`,
        "Use maglev, or leave tunnel.secondChance away.",
      ),
    );
  if (byLoad)
    problems.push(
      problem(here, "Loads are heard by each director on its own: orders would differ.", "Leave byLoad or this away."),
    );
  if (nearest)
    problems.push(
      problem(here, "Backends by place have no order over all of them.", "Leave nearest or tunnel.secondChance away."),
    );
  return problems;
}
