import type { Catalog } from "../catalog.ts";
import { configProblem, type Problem } from "../core/problem.ts";
import type { BackendConfig, Listener, Service } from "../core/service.ts";
import { closestWord } from "../core/words.ts";

/**
 * Puts addresses to backends that are other services (`service:video`): one backend per listener. The first stands where
 * the word stood, the others at the end, so that places in the file stay right. `names`: of all services, sound or not.
 * Adds what cannot be followed to `problems`; such a backend is left out.
 */
export function expandFollowed(
  services: readonly Service[],
  names: readonly string[],
  catalog: Catalog,
  problems: Problem[],
): Service[] {
  return services.map((service) => {
    if (!service.backends.some(({ follows }) => follows !== undefined)) return service;
    const more: BackendConfig[] = [];
    const backends = service.backends.flatMap((backend, i) => {
      if (backend.follows === undefined) return [backend];
      const found = listenersOf(service, backend.follows, services, names, catalog);
      if (typeof found === "string") {
        const valid = names.filter((name) => name !== service.name);
        const word = names.includes(backend.follows) ? undefined : closestWord(backend.follows, valid);
        const hint = word === undefined ? {} : { hint: `Did you mean service:${word}?` };
        problems.push(configProblem("SLUICE_CONFIG_VALUE", ["services", service.name, "backends", i], found, hint));
        return [];
      }
      const [first, ...others] = found.map(({ address, port }) => ({ ...backend, address, port }));
      more.push(...others);
      return first ? [first] : [];
    });
    return { ...service, backends: [...backends, ...more] };
  });
}

/** The listeners of a service that can be followed, each endpoint once; a sentence when it cannot be. */
function listenersOf(
  service: Service,
  follows: string,
  services: readonly Service[],
  names: readonly string[],
  catalog: Catalog,
): Listener[] | string {
  const quoted = JSON.stringify(follows);
  if (!names.includes(follows)) return `There is no service ${quoted}.`;
  const target = services.find(({ name }) => name === follows);
  // It has problems of its own, which are told.
  if (target === undefined) return [];
  if (catalog.methods.find(({ name }) => name === service.method)?.runs === "kernel")
    return `${service.method} cannot spread over another service: its backends are hosts.`;
  if (target === service) return "A service cannot be its own backend.";
  if (target.backends.some((backend) => backend.follows !== undefined))
    return `The service ${quoted} has a service behind it itself: only one step is followed.`;
  if (target.listen.length === 0) return `The service ${quoted} has no listener that clients could be sent to.`;
  const wildcard = target.listen.find(({ address }) => address === "0.0.0.0" || address === "::");
  if (wildcard) return `The service ${quoted} listens on every address: it must name one that clients can reach.`;
  return [...new Map(target.listen.map((l) => [`${l.address} ${l.port}`, l])).values()];
}
