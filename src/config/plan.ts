import { isDeepStrictEqual } from "node:util";
import type { Catalog } from "../catalog.ts";
import { backendName } from "../core/backend.ts";
import type { BackendConfig, Config, Service } from "../core/service.ts";

/**
 * What a change costs. `snapshot`: living workers and tables take it. `generation`: new worker processes, the old ones
 * drain. `kernel`: the data plane is prepared anew beside the running one.
 */
export type ChangeKind = "snapshot" | "generation" | "kernel";

/** One service of two configurations. `what` says what differs, a clause each. */
export type ServiceChange =
  | { service: string; change: "same" }
  | { service: string; change: "added" | "removed"; kind: ChangeKind; what: string[] }
  | { service: string; change: "changed"; kind: ChangeKind; what: string[] };

/** The way from one configuration to another. */
export interface Plan {
  /** In the order of the new file; removed ones last. */
  services: ServiceChange[];
  /** Changes outside the services: `drain: 30s -> 10s`. */
  shared: string[];
  /** Do workers have to be replaced? */
  newGeneration: boolean;
  /** Is there anything to do? */
  empty: boolean;
}

/** Compares two configurations. Pure. `before` is null when nothing runs yet. */
export function planChange(before: Config | null, after: Config, catalog: Catalog): Plan {
  const old = new Map((before?.services ?? []).map((s) => [s.name, s]));
  const services: ServiceChange[] = after.services.map((next) => {
    const previous = old.get(next.name);
    old.delete(next.name);
    if (previous) return compare(previous, next, catalog);
    return { service: next.name, change: "added", kind: kindOf(next, catalog), what: [`method ${next.method}`] };
  });
  for (const gone of old.values())
    services.push({
      service: gone.name,
      change: "removed",
      kind: kindOf(gone, catalog),
      what: [`method ${gone.method}`],
    });
  const shared = before ? sharedChanges(before, after) : [];
  const settingsChanged = before !== null && !isDeepStrictEqual(before.settings, after.settings);
  const geographyChanged = before !== null && !isDeepStrictEqual(before.geography, after.geography);
  const workersChanged = before !== null && before.workers !== after.workers;
  const logChanged = before !== null && !isDeepStrictEqual(before.log, after.log);
  const newGeneration =
    settingsChanged ||
    geographyChanged ||
    workersChanged ||
    logChanged ||
    services.some((s) => s.change !== "same" && s.kind === "generation");
  return { services, shared, newGeneration, empty: shared.length === 0 && services.every((s) => s.change === "same") };
}

/** A service that comes or goes: a matter of workers or of the kernel. */
const kindOf = (service: Service, catalog: Catalog): ChangeKind =>
  catalog.methods.find((m) => m.name === service.method)?.runs === "kernel" ? "kernel" : "generation";

/** Do two services say the same, by name and all? Of many backends quickly. */
export function sameService(a: Service, b: Service): boolean {
  if (a === b) return true;
  const [{ backends, ...rest }, { backends: others, ...otherRest }] = [a, b];
  return (
    backends.length === others.length &&
    backends.every((backend, i) => sameBackend(backend, others[i]!)) &&
    isDeepStrictEqual(rest, otherRest)
  );
}

const sameBackend = (a: BackendConfig, b: BackendConfig): boolean =>
  a.address === b.address &&
  a.port === b.port &&
  a.weight === b.weight &&
  a.admin === b.admin &&
  a.tier === b.tier &&
  a.url === b.url &&
  a.follows === b.follows &&
  a.tags.length === b.tags.length &&
  a.tags.every((tag, i) => tag === b.tags[i]);

const parts = ["method", "listen", "names", "scheduler", "nearest", "options"] as const;

function compare(before: Service, after: Service, catalog: Catalog): ServiceChange {
  if (sameService(before, after)) return { service: after.name, change: "same" };
  const deep = parts.filter((part) => !isDeepStrictEqual(before[part], after[part]));
  const what = deep.map((part) => partText(part, before, after));
  what.push(...backendChanges(before.backends, after.backends));
  if (!isDeepStrictEqual(before.check, after.check)) what.push("check");
  if (!isDeepStrictEqual(before.agent, after.agent)) what.push("agent");
  if (what.length === 0) return { service: after.name, change: "same" };
  // A method that moves between workers and kernel needs both; new workers are the wider of the two.
  const kinds = deep.length === 0 ? [] : [kindOf(before, catalog), kindOf(after, catalog)];
  const kind = kinds.includes("generation") ? "generation" : kinds.includes("kernel") ? "kernel" : "snapshot";
  return { service: after.name, change: "changed", kind, what };
}

function partText(part: (typeof parts)[number], before: Service, after: Service): string {
  if (part === "method") return `method ${before.method} -> ${after.method}`;
  if (part === "scheduler" && before.scheduler.name !== after.scheduler.name)
    return `scheduler ${before.scheduler.name} -> ${after.scheduler.name}`;
  return part;
}

function backendChanges(before: readonly BackendConfig[], after: readonly BackendConfig[]): string[] {
  const old = new Map(before.map((b) => [backendName(b), b]));
  const what: string[] = [];
  for (const next of after) {
    const name = backendName(next);
    const previous = old.get(name);
    old.delete(name);
    if (!previous) what.push(`backend ${name} added`);
    else if (previous.weight !== next.weight) what.push(`backend ${name} weight ${previous.weight} -> ${next.weight}`);
    else if (previous.admin !== next.admin) what.push(`backend ${name} ${previous.admin} -> ${next.admin}`);
    else if (!sameBackend(previous, next)) what.push(`backend ${name}`);
  }
  for (const name of old.keys()) what.push(`backend ${name} removed`);
  return what;
}

function sharedChanges(before: Config, after: Config): string[] {
  const methods = [
    ...new Set([...Object.keys(before.settings), ...Object.keys(after.settings)]),
  ] as (keyof Config["settings"])[];
  const settings = methods.filter((m) => !isDeepStrictEqual(before.settings[m], after.settings[m]));
  const plain = (["guard", "workers", "log", "drain", "start", "secret"] as const).filter(
    (key) => !isDeepStrictEqual(before[key], after[key]),
  );
  const where = (["places", "geo"] as const).filter(
    (key) => !isDeepStrictEqual(before.geography[key], after.geography[key]),
  );
  return [...settings, ...where, ...plain];
}
