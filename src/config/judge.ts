import type { Catalog } from "../catalog.ts";
import { backendName } from "../core/backend.ts";
import type { Method } from "../core/method.ts";
import { configProblem, type Path, type Problem } from "../core/problem.ts";
import {
  type Config,
  checkedListener,
  type Geography,
  type Listener,
  listenerName,
  type Service,
} from "../core/service.ts";
import { judgeGeography, judgeNearest } from "../geo/judge.ts";
import { judgeListeners } from "./judge-listeners.ts";
import { judgeScheduler } from "./judge-scheduler.ts";

export { fittingSchedulers } from "./judge-scheduler.ts";

/** A problem that knows paths where a loader will find places. */
export interface Finding extends Problem {
  /** Other parts that take part, absolute. */
  alsoAt?: { path: Path; message: string }[];
}

// biome-ignore lint/suspicious/noExplicitAny: options of any method
type AnyMethod = Method<any, any>;

/**
 * What is wrong in a configuration whose parts are all well-formed: paths are absolute. Pure. It reads what methods
 * and schedulers declare and knows none of them by name. `geography`: absent while the places do not parse.
 */
export function judge(config: Config, catalog: Catalog, geography: Geography | undefined): Finding[] {
  const shared: Finding[] = judgeListeners(config, catalog);
  if (geography) shared.push(...judgeGeography(geography));
  const own: Finding[] = [];
  for (const service of config.services) {
    const method = methodOf(service, catalog);
    const at = (path: Path): Path => ["services", service.name, ...path];
    const rules = [
      ...judgeArrival(service, method),
      ...judgeBackends(service, method),
      ...judgeScheduler(service, method, catalog),
      ...judgeCheck(service),
      ...judgePlaces(service, method, geography),
    ];
    shared.push(...rules.map((p) => lift(p, at, method)));
    own.push(...attempt(() => method.judge(service)).map((p) => lift(p, at, method)));
  }
  for (const method of catalog.methods) {
    const services = config.services.filter((s) => s.method === method.name);
    if (services.length === 0) continue;
    const together = attempt(() => method.judgeTogether?.(services, config.settings[method.name], geography) ?? []);
    own.push(...together.map((p) => lift(p, (path) => ["services", ...path], method, 1)));
  }
  return withoutRepeats(shared, own);
}

export const methodOf = (service: Service, catalog: Catalog): AnyMethod =>
  catalog.methods.find((m) => m.name === service.method)!;

/** A judge that throws is our own fault, and must not take the daemon with it. */
function attempt(judgement: () => Problem[]): Problem[] {
  try {
    return judgement();
  } catch (error) {
    const message = `A judgement failed: ${error instanceof Error ? error.message : String(error)}`;
    return [{ ...configProblem("SLUICE_INTERNAL", [], message), source: "internal" }];
  }
}

/** Makes a path absolute; `options` in a parsed service is the method's own key in the file. */
function lift(problem: Finding, at: (path: Path) => Path, method: AnyMethod, depth = 0): Finding {
  const rename = (path: Path): Path =>
    at(path.map((part, i) => (i === depth && part === "options" ? method.name : part)));
  const alsoAt = problem.alsoAt?.map((other) => ({ ...other, path: rename(other.path) }));
  return { ...problem, path: rename(problem.path), ...(alsoAt ? { alsoAt } : {}) };
}

/**
 * The shared rules and a method's own may see the same thing at the same spot: the shared rule, which names both
 * places, speaks; but an error of the method is stronger than a warning.
 */
function withoutRepeats(shared: readonly Finding[], own: readonly Finding[]): Finding[] {
  const byItem = Map.groupBy(own, itemOf);
  const kept = shared.filter((s) => s.severity === "error" || !byItem.get(itemOf(s))?.some((o) => sameThing(s, o)));
  const keptByItem = Map.groupBy(kept, itemOf);
  return [...kept, ...own.filter((o) => !keptByItem.get(itemOf(o))?.some((s) => sameThing(s, o)))];
}

/** `services.web.backends.3`: what lies deeper belongs to the same item. */
const itemOf = (problem: Finding): string => problem.path.slice(0, 4).join(".");

/** The same spot, or a part of it, with the same kind of fault: a thing twice is a duplicate to some, a conflict to others. */
function sameThing(a: Finding, b: Finding): boolean {
  const kind = (p: Finding): string => (p.code === "SLUICE_CONFIG_CONFLICT" ? "SLUICE_CONFIG_DUPLICATE" : p.code);
  const length = Math.min(a.path.length, b.path.length);
  return kind(a) === kind(b) && a.path.slice(0, length).join(".") === b.path.slice(0, length).join(".");
}

const warning = (problem: Finding): Finding => ({ ...problem, severity: "warning" });

function judgeArrival(service: Service, method: AnyMethod): Finding[] {
  const { arrival, names, protocols } = method.traits;
  const found: Finding[] = [];
  if (arrival === "listen" && service.listen.length === 0)
    found.push(configProblem("SLUICE_CONFIG_MISSING", ["listen"], `${method.name} needs an address in \`listen\`.`));
  if (names === "required" && service.names.length === 0)
    found.push(configProblem("SLUICE_CONFIG_MISSING", ["names"], `${method.name} needs a name in \`names\`.`));
  if (arrival !== "listen") return found;
  service.listen.forEach((l, i) => {
    if (!protocols.includes(l.protocol)) {
      const message = `${method.name} does not carry ${l.protocol.toUpperCase()}.`;
      found.push(configProblem("SLUICE_CONFIG_IMPOSSIBLE", ["listen", i], message));
    }
    if (l.last !== undefined && method.runs !== "kernel") {
      const message = `${method.name} listens on single ports, not on ${listenerName(l)}.`;
      const hint = "Ranges of ports are for nat, direct and tunnel.";
      found.push(configProblem("SLUICE_CONFIG_IMPOSSIBLE", ["listen", i], message, { hint }));
    }
    if (method.runs === "kernel" && (l.address === "0.0.0.0" || l.address === "::")) {
      const message = `A VIP is one address: ${method.name} cannot serve ${listenerName(l)}.`;
      found.push(configProblem("SLUICE_CONFIG_IMPOSSIBLE", ["listen", i], message));
    }
  });
  return found;
}

function judgeBackends(service: Service, method: AnyMethod): Finding[] {
  const found: Finding[] = [];
  const first = new Map<string, number>();
  const { listen, backends } = service;
  const arrives = method.traits.arrival === "listen";
  backends.forEach((backend, i) => {
    const path: Path = ["backends", i];
    const name = backendName(backend);
    const earlier = first.get(name);
    if (earlier !== undefined) {
      const alsoAt = [{ path: ["backends", earlier], message: "it stands here first" }];
      found.push({ ...configProblem("SLUICE_CONFIG_DUPLICATE", path, `The backend ${name} stands twice.`), alsoAt });
      return;
    }
    first.set(name, i);
    if (!arrives) return;
    const { address, port } = backend;
    if (!method.traits.translatesPort && port !== null && listen.some((l) => l.port !== port))
      found.push(portProblem([...path, "port"], method, port, listen.find((l) => l.port !== port)!.port));
    if (listen.some((l) => l.address === address && holdsPort(l, port ?? l.port)))
      found.push(
        configProblem("SLUICE_CONFIG_CONFLICT", path, `${name} is the service's own listener: work would go round.`),
      );
    else if (method.runs === "kernel" && listen.length > 0 && listen.every((l) => isV6(l.address) !== isV6(address)))
      found.push(
        warning(
          configProblem(
            "SLUICE_CONFIG_IMPOSSIBLE",
            [...path, "address"],
            `${name} and the VIPs are of different IP families.`,
          ),
        ),
      );
  });
  if (backends.length === 0)
    found.push(
      warning(configProblem("SLUICE_CONFIG_VALUE", ["backends"], "There is no backend: nothing can be served.")),
    );
  else if (!backends.some((b) => b.weight > 0 && b.admin === "ready"))
    found.push(
      warning(
        configProblem(
          "SLUICE_CONFIG_VALUE",
          ["backends"],
          "No backend may get work: all have weight 0 or are not ready.",
        ),
      ),
    );
  return found;
}

const holdsPort = (l: Listener, port: number): boolean => l.port <= port && port <= (l.last ?? l.port);

const isV6 = (address: string): boolean => address.includes(":");

function portProblem(path: Path, method: AnyMethod, port: number, expected: number): Finding {
  const message = `${method.name} cannot change the port: the backend's is ${port}, the listener's ${expected}.`;
  return configProblem("SLUICE_CONFIG_IMPOSSIBLE", path, message, {
    hint: "Leave the port out, or choose a method that translates ports.",
  });
}

function judgePlaces(service: Service, { name, traits }: AnyMethod, geography: Geography | undefined): Finding[] {
  if (!service.nearest || traits.places) return geography ? judgeNearest(service, geography) : [];
  const message = `${name} cannot choose by the client's place.`;
  return [configProblem("SLUICE_CONFIG_IMPOSSIBLE", ["nearest"], message)];
}

function judgeCheck(service: Service): Finding[] {
  const { check, backends, listen } = service;
  if (check === null) return [];
  const found: Finding[] = [];
  if (check.timeout > check.interval) {
    const message = "The check's timeout is longer than its interval: a dead backend is noticed late.";
    found.push(warning(configProblem("SLUICE_CONFIG_VALUE", ["check", "timeout"], message)));
  }
  backends.forEach((backend, i) => {
    if (backend.port !== null || checkedListener(listen)) return;
    const message = `The check of ${backendName(backend)} needs a port.`;
    found.push(
      configProblem("SLUICE_CONFIG_MISSING", ["backends", i, "port"], message, {
        hint: "Write ADDRESS:PORT, or `check: none`.",
      }),
    );
  });
  return found;
}
