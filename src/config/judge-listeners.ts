import type { Catalog } from "../catalog.ts";
import type { Method } from "../core/method.ts";
import { configProblem, type Path } from "../core/problem.ts";
import { type Config, isEveryPort, type Listener, listenerName, MOST_RANGES, type Service } from "../core/service.ts";
import type { Finding } from "./judge.ts";

/** One who wants an address and port. */
interface Claim {
  path: Path;
  /** Null: a method's own sockets, shared by its services. */
  service: Service | null;
  method: Method;
}

/** A listener and who wants it. */
interface Held {
  listener: Listener;
  claim: Claim;
}

/** Who may stand beside whom on one address and port; paths are absolute. */
export function judgeListeners(config: Config, catalog: Catalog): Finding[] {
  const found: Finding[] = [];
  const claims = new Map<string, Claim[]>();
  const ranges = new Map<string, Held[]>();
  const all: Held[] = [];
  const claim = (listener: Listener, next: Claim): void => {
    const name = listenerName(listener);
    const earlier = claims.get(name) ?? [];
    const problem = earlier.map((other) => judgePair(listener, other, next)).find((p) => p !== null);
    if (problem) found.push(problem);
    else if (listener.last !== undefined) found.push(...judgeRange(listener, next, ranges));
    claims.set(name, [...earlier, next]);
    all.push({ listener, claim: next });
  };
  for (const method of catalog.methods) {
    claimOwnSockets(config, method, claim);
    if (method.traits.arrival === "settings") found.push(...names(config.services, method));
  }
  for (const service of config.services) {
    const method = catalog.methods.find((m) => m.name === service.method)!;
    if (method.traits.arrival !== "settings" && !eachOnce(service.names)) found.push(...repeatedNames(service));
    if (method.traits.arrival !== "listen") continue;
    for (const [i, l] of service.listen.entries())
      claim(l, { path: ["services", service.name, "listen", i], service, method });
  }
  return [...found, ...all.flatMap((held) => taken(held, [...ranges.values()].flat()))];
}

/** Who sees a packet first: the XDP data plane, the rules of the kernel's own path, sockets. */
function turnOf({ service, method }: Claim): number {
  if (method.runs === "worker") return 2;
  return service && method.behindPlane?.(service) ? 1 : 0;
}

/** Packets of a range are taken before anybody whose turn is later sees them. */
function taken({ listener, claim }: Held, ranges: readonly Held[]): Finding[] {
  const { address, protocol, port, last = port } = listener;
  const by = ranges.find(
    ({ listener: range, claim: first }) =>
      range.address === address &&
      range.protocol === protocol &&
      range.port <= port &&
      last <= range.last! &&
      turnOf(first) < turnOf(claim),
  );
  if (!by || listenerName(by.listener) === listenerName(listener)) return [];
  const { method } = by.claim;
  const message = `${listenerName(listener)} lies within ${listenerName(by.listener)}, whose packets ${method.name} takes first.`;
  const hint = method === claim.method ? { hint: "Both have to be on one engine." } : {};
  const alsoAt = [{ path: by.claim.path, message: "the range stands here" }];
  return [{ ...configProblem("SLUICE_CONFIG_CONFLICT", claim.path, message, hint), alsoAt }];
}

function claimOwnSockets(config: Config, method: Method, claim: (listener: Listener, claim: Claim) => void): void {
  const services = config.services.filter((s) => s.method === method.name);
  const settings = config.settings[method.name];
  if (services.length === 0 || settings === undefined || method.traits.arrival !== "settings") return;
  for (const listener of method.sockets?.(services, settings) ?? [])
    claim(listener, { path: [method.name, "listen"], service: null, method });
}

/** Requests on one listener can be told apart by name; packets and bare connections cannot. */
const tellsNamesApart = (method: Method, listener: Listener): boolean =>
  method.runs === "worker" && method.layer === 7 && listener.protocol === "tcp";

/**
 * The most exact listener has a packet: one port before a range, a range before all ports. Two ranges that cut each other
 * are not so told apart.
 */
function judgeRange(listener: Listener, claim: Claim, ranges: Map<string, Held[]>): Finding[] {
  const key = `${listener.address} ${listener.protocol}`;
  const others = ranges.get(key) ?? [];
  ranges.set(key, [...others, { listener, claim }]);
  const path = claim.path;
  const looked = [...others.map((other) => other.claim), claim].filter((one) => turnOf(one) === 0);
  if (turnOf(claim) === 0 && looked.length > MOST_RANGES) {
    const message = `More than ${MOST_RANGES} ranges of ports on ${listener.address}: each is looked at in turn.`;
    return [configProblem("SLUICE_CONFIG_IMPOSSIBLE", path, message)];
  }
  if (isEveryPort(listener)) return [];
  const cut = others.find(
    ({ listener: other }) => !isEveryPort(other) && other.port <= listener.last! && listener.port <= other.last!,
  );
  if (!cut) return [];
  const message = `${listenerName(listener)} and ${listenerName(cut.listener)} have ports in common.`;
  const alsoAt = [{ path: cut.claim.path, message: "the other range stands here" }];
  return [{ ...configProblem("SLUICE_CONFIG_CONFLICT", path, message), alsoAt }];
}

function judgePair(listener: Listener, first: Claim, second: Claim): Finding | null {
  const name = listenerName(listener);
  const alsoAt = [{ path: first.path, message: "it is taken here" }];
  if (first.service !== null && first.service === second.service)
    return { ...configProblem("SLUICE_CONFIG_DUPLICATE", second.path, `The listener ${name} stands twice.`), alsoAt };
  const shared = first.method === second.method && tellsNamesApart(first.method, listener);
  if (!shared || first.service === null || second.service === null) {
    const owner = first.service
      ? `service ${first.service.name} (method ${first.method.name})`
      : `the key ${JSON.stringify(first.method.name)}`;
    const message = `${name} already belongs to ${owner}.`;
    return { ...configProblem("SLUICE_CONFIG_CONFLICT", second.path, message), alsoAt };
  }
  const [a, b] = [first.service, second.service];
  const both = b.names.find((n) => a.names.includes(n));
  if (both !== undefined) {
    const message = `The name ${both} on ${name} already belongs to service ${a.name}.`;
    const path: Path = ["services", b.name, "names", b.names.indexOf(both)];
    const there = [{ path: ["services", a.name, "names", a.names.indexOf(both)], message: "it is taken here" }];
    return { ...configProblem("SLUICE_CONFIG_DUPLICATE", path, message), alsoAt: there };
  }
  if (a.names.length > 0 || b.names.length > 0) return null;
  const message = `${name} already belongs to service ${a.name}, and neither has names to tell them apart.`;
  return {
    ...configProblem("SLUICE_CONFIG_CONFLICT", second.path, message, { hint: "Give one of them `names`." }),
    alsoAt,
  };
}

/** The usual case: of a hundred thousand names it is seen in no time. */
const eachOnce = (names: readonly string[]): boolean => new Set(names).size === names.length;

/** Names of the services that share a method's own sockets. */
function names(all: readonly Service[], method: Method): Finding[] {
  const services = all.filter((s) => s.method === method.name);
  if (eachOnce(services.flatMap((service) => service.names))) return [];
  return [...sharedNames(services), ...services.flatMap(repeatedNames)];
}

/** Services that share their sockets cannot share a name. */
function sharedNames(services: readonly Service[]): Finding[] {
  const owners = new Map<string, Service>();
  const found: Finding[] = [];
  for (const service of services)
    for (const [i, name] of service.names.entries()) {
      const first = owners.get(name);
      if (first === undefined) owners.set(name, service);
      if (first === undefined || first === service) continue;
      const message = `The name ${name} already belongs to service ${first.name}.`;
      const there: Path = ["services", first.name, "names", first.names.indexOf(name)];
      const problem = configProblem("SLUICE_CONFIG_DUPLICATE", ["services", service.name, "names", i], message);
      found.push({ ...problem, alsoAt: [{ path: there, message: "it is taken here" }] });
    }
  return found;
}

function repeatedNames(service: Service): Finding[] {
  return service.names.flatMap((name, i) => {
    const first = service.names.indexOf(name);
    if (first === i) return [];
    const alsoAt = [{ path: ["services", service.name, "names", first], message: "it stands here first" }];
    const path: Path = ["services", service.name, "names", i];
    return [{ ...configProblem("SLUICE_CONFIG_DUPLICATE", path, `The name ${name} stands twice.`), alsoAt }];
  });
}
