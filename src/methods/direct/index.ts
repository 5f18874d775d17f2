import { realServerMethod } from "../../dataplane/real-server-method.ts";

/** Rewrites the frame's MAC addresses; the real server holds the VIP and answers the client by itself. */
export const direct = realServerMethod({
  name: "direct",
  summary: "Rewrites only MAC addresses in the kernel; real servers on the same link answer clients directly.",
  layer: 2,
});
export default direct;
