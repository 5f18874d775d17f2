import { backendName } from "../../core/backend.ts";
import { type Listener, listenerName, type Service } from "../../core/service.ts";
import type { Snapshot } from "../../core/snapshot.ts";
import type { ProxyOptions } from "./options.ts";

/** What a proxy service comes to, for people and golden tests: where it listens, for whom, and who may get requests. */
export interface CompiledProxy {
  service: string;
  listen: string[];
  names: string[];
  backends: { id: number; name: string; weight: number }[];
  options: ProxyOptions;
}

/** Pure. A backend without a port of its own gets the first listener's. */
export function compile(service: Service<ProxyOptions>, snapshot: Snapshot): CompiledProxy {
  const port = (service.listen[0] as Listener).port;
  return {
    service: service.name,
    listen: service.listen.map(listenerName),
    names: service.names,
    backends: snapshot.backends
      .filter(({ id }) => snapshot.eligible.includes(id))
      .map(({ id, address, port: own, weight }) => ({ id, name: backendName({ address, port: own ?? port }), weight })),
    options: service.options,
  };
}
