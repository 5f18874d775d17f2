import { realServerMethod } from "../../dataplane/real-server-method.ts";

/** Wraps the packet in a second IP header; the real server unwraps it, holds the VIP and answers the client by itself. */
export const tunnel = realServerMethod({
  name: "tunnel",
  summary: "Wraps packets in IPIP in the kernel; real servers in any network answer clients directly.",
  layer: 3,
});
export default tunnel;
