import type { Applier, Doors } from "../../core/method.ts";
import { SluiceError } from "../../core/problem.ts";
import { hostProblem } from "../../system/host-command.ts";
import type { NatService } from "./compile.ts";
import { NatEngines } from "./engines.ts";
import { createNftablesApplier } from "./nftables.ts";

/** The applier of all nat services of this instance: each goes to the engine it asks for. */
export function createNatApplier(doors: Doors): Applier<NatService> {
  return new NatEngines(
    {
      xdp: async () => {
        throw new SluiceError(hostProblem("SLUICE_BPF_LOAD", "this build holds no xdp engine for nat"));
      },
      nftables: async () => createNftablesApplier(doors),
    },
    (message) => doors.log("warn", message),
  );
}
