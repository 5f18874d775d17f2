import type { z } from "zod";
import type { Catalog } from "../catalog.ts";
import type { AgentConfig, CheckConfig, CheckTiming } from "../core/check.ts";
import { configProblem, type Path, type Problem } from "../core/problem.ts";
import type { Config, Geography, Service } from "../core/service.ts";
import { toBackend } from "./fields.ts";
import { issuesToProblems } from "./issues.ts";
import type { configSchema, serviceSchema } from "./schema.ts";

type WrittenService = z.output<ReturnType<typeof serviceSchema>> & Record<string, unknown>;
type WrittenConfig = z.output<ReturnType<typeof configSchema>> & Record<string, unknown>;

type WrittenTiming = Omit<CheckTiming, "timeout"> & { timeout?: number };

/** A definition's options, parsed; what is wrong is added to `problems` under `path`. */
function parseOptions(schema: z.ZodType, value: unknown, path: Path, problems: Problem[]): unknown {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  const found = issuesToProblems(parsed.error.issues, schema, value);
  problems.push(...found.map((p) => ({ ...p, path: [...path, ...p.path] })));
  return undefined;
}

/** Options of whom nothing is written, by schema: those of very many services are the same. */
const unwritten = new WeakMap<z.ZodType, unknown>();

function defaultOptions(schema: z.ZodType, path: Path, problems: Problem[]): unknown {
  if (!unwritten.has(schema)) {
    const before = problems.length;
    const options = parseOptions(schema, {}, path, problems);
    if (problems.length > before) return undefined;
    unwritten.set(schema, options);
  }
  return unwritten.get(schema);
}

function schedulerOf(service: WrittenService, fallback: string, catalog: Catalog, path: Path, problems: Problem[]) {
  const written = service.scheduler as string | Record<string, unknown> | undefined;
  if (typeof written === "object") {
    const [name, options] = Object.entries(written).find(([, value]) => value !== undefined)!;
    return { name, options };
  }
  const name = written ?? fallback;
  const definition = catalog.schedulers.find((s) => s.name === name);
  if (!definition) {
    problems.push(
      configProblem("SLUICE_INTERNAL", path, `The default scheduler ${JSON.stringify(name)} does not exist.`),
    );
    return { name, options: {} };
  }
  return { name, options: defaultOptions(definition.options, [...path, "scheduler"], problems) };
}

/**
 * ms. A backend that hangs is out after at most `interval x fall + timeout`: this keeps it within a second of what a
 * person reckons, `interval x fall`.
 */
const DEFAULT_TIMEOUT = 800;

function checkOf(service: WrittenService, catalog: Catalog): CheckConfig | null {
  const written = service.check as "none" | (Record<string, unknown> & WrittenTiming) | undefined;
  if (written === "none") return null;
  if (written === undefined) return defaultCheck(service, catalog);
  const { interval, rise, fall, damp } = written;
  const timeout = written.timeout ?? Math.min(DEFAULT_TIMEOUT, interval);
  const kind = catalog.checks.find((c) => written[c.name] !== undefined)!.name;
  return { kind, options: written[kind], interval, timeout, rise, fall, ...(damp === undefined ? {} : { damp }) };
}

function agentOf(written: NonNullable<WrittenService["agent"]>): AgentConfig {
  if (typeof written === "number") return { port: written, interval: 2000, timeout: DEFAULT_TIMEOUT };
  const { port, interval, timeout = Math.min(DEFAULT_TIMEOUT, interval), send } = written;
  return { port, interval, timeout, ...(send === undefined ? {} : { send }) };
}

/** The first check of the catalog, where it has a TCP port to go to; UDP alone cannot be probed by connecting. */
function defaultCheck(service: WrittenService, catalog: Catalog): CheckConfig | null {
  const [check] = catalog.checks;
  const ported =
    service.listen.some((l) => l.protocol === "tcp") ||
    (service.listen.length === 0 && service.backends.every((b) => toBackend(b).port !== null));
  const options = check?.options.safeParse({});
  if (!check || !ported || !options?.success) return null;
  return { kind: check.name, options: options.data, interval: 2000, timeout: DEFAULT_TIMEOUT, rise: 2, fall: 3 };
}

/** One parsed service with every default filled in; null when its own parts do not fit their schemas. */
export function toService(
  name: string,
  written: WrittenService,
  catalog: Catalog,
  problems: Problem[],
): Service | null {
  const path = ["services", name];
  const before = problems.length;
  const method = catalog.methods.find((m) => m.name === written.method)!;
  const scheduler = schedulerOf(written, method.traits.defaultScheduler, catalog, path, problems);
  const own = written[method.name];
  const options = own === undefined ? defaultOptions(method.options, [...path, method.name], problems) : own;
  if (problems.length > before) return null;
  return {
    name,
    method: method.name,
    listen: written.listen,
    names: written.names,
    scheduler,
    backends: written.backends.map(toBackend),
    check: checkOf(written, catalog),
    nearest: written.nearest,
    ...(written.agent === undefined ? {} : { agent: agentOf(written.agent) }),
    options,
  };
}

export const toGeography = ({ places, geo }: Pick<WrittenConfig, "places" | "geo">): Geography => ({
  places,
  ...(geo === undefined ? {} : { geo }),
});

/** The parts of a parsed configuration that are no services. Settings of a method that no service uses may be absent. */
export function toConfig(written: WrittenConfig, services: Service[], catalog: Catalog, problems: Problem[]): Config {
  const settings: Config["settings"] = {};
  for (const method of catalog.methods) {
    if (!method.settings) continue;
    const own = written[method.name];
    const used = services.some((s) => s.method === method.name);
    if (own !== undefined) settings[method.name] = own;
    else if (used) {
      const parsed = method.settings.safeParse({});
      if (parsed.success) settings[method.name] = parsed.data;
      else {
        const message = `The file needs the key ${JSON.stringify(method.name)}: a service uses this method.`;
        problems.push(configProblem("SLUICE_CONFIG_MISSING", [method.name], message));
      }
    }
  }
  const { version, workers = null, log, drain, start, secret, guard } = written;
  const geography = toGeography(written);
  const given = {
    ...(guard === undefined ? {} : { guard }),
    ...(secret === undefined ? {} : { secret }),
    ...(start === undefined ? {} : { start }),
  };
  return { version, services, settings, geography, workers, log, drain, ...given };
}
