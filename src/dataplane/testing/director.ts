/** Program of the tests: a daemon's share of the data plane, to be killed. It takes one list of backends after another. */
import { createXdpApplier } from "../applier.ts";
import type { ForwardName, PlaneService } from "../plane-service.ts";
import { doorsAt } from "./doors.ts";

const [bpfDir, runDir, forward] = process.argv.slice(2) as [string, string, ForwardName];
const applier = await createXdpApplier(doorsAt(bpfDir, runDir), forward);

process.on("message", async (services: PlaneService[]) => {
  const prepared = await applier.prepare(services);
  if (Array.isArray(prepared)) process.send?.(prepared.map(({ message }) => message));
  else {
    await prepared.commit();
    process.send?.([]);
  }
});
process.send?.("ready");
