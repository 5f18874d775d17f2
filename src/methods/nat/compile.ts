import type { RevisionFacts } from "../../core/method.ts";
import type { Service } from "../../core/service.ts";
import type { Snapshot } from "../../core/snapshot.ts";
import { compilePlane, type PlaneService } from "../../dataplane/plane-service.ts";
import { engineOf } from "./engine-of.ts";
import type { NatOptions } from "./options.ts";

/** One nat service, whole: as the data plane takes it, and what the choice and the work of the engines need besides. */
export interface NatService extends PlaneService {
  engine: NatOptions["engine"];
  helper: "ftp" | null;
  masquerade: boolean;
  hairpin: boolean;
}

/** Pure: what is to be, from configuration and snapshot. */
export function compile(service: Service<NatOptions>, snapshot: Snapshot, revision: RevisionFacts): NatService {
  return {
    ...compilePlane(service, snapshot, revision),
    engine: engineOf(service),
    helper: service.options.helper ?? null,
    masquerade: service.options.masquerade,
    hairpin: service.options.hairpin,
  };
}
