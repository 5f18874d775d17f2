import type { Applier, Doors } from "../../core/method.ts";
import type { NatService } from "./compile.ts";
import { NatEngines } from "./engines.ts";
import { NftablesApplier } from "./nftables.ts";
import { shareDoors } from "./shared-doors.ts";

/** The applier of all nat services of this instance: each goes to the engine it asks for. */
export function createNatApplier(doors: Doors): Applier<NatService> {
  const doorsOf = shareDoors(doors);
  return new NatEngines(
    {
      // Loaded when first needed: a host that only uses nftables needs no libbpf.
      xdp: async () => (await import("../../dataplane/applier.ts")).createXdpApplier(doorsOf("xdp"), "nat"),
      nftables: async () => new NftablesApplier(doorsOf("nftables")),
    },
    (message) => doors.log("warn", message),
  );
}
