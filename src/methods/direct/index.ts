import { defineMethod } from "../../core/method.ts";
import { planeChanges } from "../../dataplane/changes.ts";
import { compilePlane, type PlaneService } from "../../dataplane/plane-service.ts";
import { judge } from "./judge.ts";
import { type Options, options } from "./options.ts";

/** Rewrites the frame's MAC addresses; the real server holds the VIP and answers the client by itself. */
export const direct = defineMethod<Options, PlaneService>({
  name: "direct",
  summary: "Rewrites only MAC addresses in the kernel; real servers on the same link answer clients directly.",
  layer: 2,
  runs: "kernel",
  options,
  traits: {
    face: "slots",
    // Responses pass the director by, so it never learns how much a backend has under way.
    load: "reported",
    seesResponses: false,
    translatesPort: false,
    preparesRealServer: true,
    checks: "vip-at-backend",
    needs: ["CAP_NET_ADMIN", "CAP_BPF", "xdp"],
    counts: ["packetsIn", "bytesIn", "drops"],
    names: "optional",
    arrival: "listen",
    protocols: ["tcp", "udp"],
    defaultScheduler: "maglev",
  },
  judge,
  compile: compilePlane,
  changes: (compiled, host) => planeChanges(compiled, host, "direct"),
  control: async (doors) => (await import("../../dataplane/applier.ts")).createXdpApplier(doors, "direct"),
});
export default direct;
