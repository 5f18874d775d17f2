import { z } from "zod";
import type { Method } from "../../core/method.ts";
import { Limit } from "../../dataplane/generated/layout.ts";
import { planeOptions } from "../../dataplane/plane-options.ts";
import { compilePlane, type PlaneService } from "../../dataplane/plane-service.ts";
import { realServerMethod } from "../../dataplane/real-server-method.ts";

const options = planeOptions.extend({
  encapsulation: z
    .enum(["ipip", "gue"])
    .default("ipip")
    .describe(
      "What is put around packets: an IP header, or an IP and a UDP header whose source port spreads flows over queues.",
    ),
});

/** Wraps the packet in a second IP header; the real server unwraps it, holds the VIP and answers the client by itself. */
export const tunnel: Method<z.infer<typeof options>, PlaneService> = {
  ...realServerMethod({
    name: "tunnel",
    summary: "Wraps packets in IP or GUE in the kernel; real servers in any network answer clients directly.",
    layer: 3,
  }),
  options,
  compile: (service, snapshot, revision) => ({
    ...compilePlane(service, snapshot, revision),
    ...(service.options.encapsulation === "gue" ? { guePort: Limit.GUE_PORT } : {}),
  }),
};
export default tunnel;
