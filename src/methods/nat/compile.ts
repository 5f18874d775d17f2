import type { Backend } from "../../core/backend.ts";
import type { Listener, Revision, Service } from "../../core/service.ts";
import type { Snapshot } from "../../core/snapshot.ts";
import { type NatOptions, wantedEngine } from "./options.ts";

/** One nat service, whole, as its engine takes it. Plain JSON. */
export interface NatService {
  name: string;
  revision: number;
  seed: number;
  engine: NatOptions["engine"];
  helper: "ftp" | null;
  masquerade: boolean;
  vips: Listener[];
  backends: readonly Backend[];
  eligible: readonly number[];
  scheduler: { name: string; options: unknown };
}

/** Pure: what is to be, from configuration and snapshot. */
export function compile(
  service: Service<NatOptions>,
  snapshot: Snapshot,
  revision: Pick<Revision, "number" | "seed">,
): NatService {
  return {
    name: service.name,
    revision: revision.number,
    seed: revision.seed,
    engine: wantedEngine(service.options),
    helper: service.options.helper ?? null,
    masquerade: service.options.masquerade,
    vips: service.listen,
    backends: snapshot.backends,
    eligible: snapshot.eligible,
    scheduler: service.scheduler,
  };
}
