import { defineMethod } from "../../core/method.ts";
import { changes } from "./changes.ts";
import { compile, type NatService } from "./compile.ts";
import { engineOf } from "./engine-of.ts";
import { judge, judgeTogether } from "./judge.ts";
import { type NatOptions, options } from "./options.ts";

/** Rewrites destination address and port on the way in, source on the way back; the director is the backends' gateway. */
export const nat = defineMethod<NatOptions, NatService>({
  name: "nat",
  summary: "Rewrites address and port in the kernel, both ways; backends use the director as their gateway.",
  layer: 4,
  runs: "kernel",
  options,
  traits: {
    face: "slots",
    // Neither engine counts the flows that are open now: only what backends report is known of their load.
    load: "reported",
    seesResponses: true,
    translatesPort: true,
    preparesRealServer: false,
    checks: "backend",
    needs: ["CAP_NET_ADMIN"],
    // `connections` is known to the nftables engine, and with `active` to a scheduler that remembers flows; else null.
    counts: ["connections", "active", "packetsIn", "packetsOut", "bytesIn", "bytesOut", "drops"],
    names: "optional",
    arrival: "listen",
    protocols: ["tcp", "udp"],
    places: true,
    defaultScheduler: "maglev",
  },
  judge,
  judgeTogether,
  compile,
  changes,
  behindPlane: (service) => engineOf(service) === "nftables",
  control: async (doors) => (await import("./control.ts")).createNatApplier(doors),
});
export default nat;
