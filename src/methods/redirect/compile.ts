import { listenerName, type Service } from "../../core/service.ts";
import type { Snapshot } from "../../core/snapshot.ts";
import { locationBase } from "./location.ts";
import type { RedirectOptions } from "./options.ts";

/** What a redirect service comes to: where it listens, for whom, and where it sends clients. */
export interface CompiledRedirect {
  service: string;
  listen: string[];
  names: string[];
  status: number;
  goals: { id: number; location: string; weight: number }[];
}

/** Pure. A backend without a port of its own gets the first listener's. */
export function compile(service: Service<RedirectOptions>, snapshot: Snapshot): CompiledRedirect {
  const { status, scheme } = service.options;
  return {
    service: service.name,
    listen: service.listen.map(listenerName),
    names: service.names,
    status,
    goals: snapshot.backends
      .filter(({ id }) => snapshot.eligible.includes(id))
      .map((backend) => ({
        id: backend.id,
        location: `${locationBase(backend, scheme, service.listen[0]!.port)}/`,
        weight: backend.weight,
      })),
  };
}
