import { defineMethod } from "../../core/method.ts";
import { planeChanges } from "../../dataplane/changes.ts";
import { compilePlane, type PlaneService } from "../../dataplane/plane-service.ts";
import { judge } from "./judge.ts";
import { type Options, options } from "./options.ts";

/** Wraps the packet in a second IP header; the real server unwraps it, holds the VIP and answers the client by itself. */
export const tunnel = defineMethod<Options, PlaneService>({
  name: "tunnel",
  summary: "Wraps packets in IPIP in the kernel; real servers in any network answer clients directly.",
  layer: 3,
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
  changes: (compiled, host) => planeChanges(compiled, host, "tunnel"),
  control: async (doors) => (await import("../../dataplane/applier.ts")).createXdpApplier(doors, "tunnel"),
});
export default tunnel;
