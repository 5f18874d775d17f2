import type { Backend, BackendState } from "../core/backend.ts";
import type { BackendConfig, Service } from "../core/service.ts";
import { eligibleIds, type Snapshot } from "../core/snapshot.ts";

const states: Record<BackendConfig["admin"], BackendState> = {
  ready: "unchecked",
  drain: "draining",
  maintenance: "maintenance",
};

/** The snapshot of a service that no check has seen yet: every ready backend is taken as good. Pure. */
export function firstSnapshot(service: Service): Snapshot {
  const backends = service.backends.map(
    ({ admin, ...rest }, id): Backend => ({ ...rest, id, state: states[admin], load: null }),
  );
  return { service: service.name, revision: 0, generation: 0, backends, eligible: eligibleIds(backends) };
}
