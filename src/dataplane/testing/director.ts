/** Program of the tests: a daemon's share of the data plane, to be killed. It takes one list of backends after another. */
import { createXdpApplier } from "../applier.ts";
import type { PlaneService } from "../plane-service.ts";
import { doorsAt } from "./doors.ts";

const [bpfDir, runDir] = process.argv.slice(2) as [string, string];
const applier = await createXdpApplier(doorsAt(bpfDir, runDir), "direct");

process.on("message", async (services: PlaneService[]) => {
  const prepared = await applier.prepare(services);
  if (Array.isArray(prepared)) process.send?.(prepared.map(({ message }) => message));
  else {
    await prepared.commit();
    process.send?.([]);
  }
});
process.send?.("ready");
