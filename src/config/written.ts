import { z } from "zod";
import type { Catalog } from "../catalog.ts";
import type { CheckConfig } from "../core/check.ts";
import { type Config, listenerName, type Service } from "../core/service.ts";
import { formatDuration } from "../core/words.ts";
import { fromBackend } from "./fields.ts";

/** Options in the form they are written in: durations and sizes as words. What cannot go back stays as parsed. */
function encode(schema: z.ZodType | undefined, options: unknown): unknown {
  if (!schema) return options;
  try {
    return z.encode(schema, options);
  } catch {
    return options;
  }
}

/**
 * A configuration in its written form with every default filled in: plain JSON that loads to the same again.
 * The inverse of loading, up to what was left out.
 */
export function toWritten(config: Config, catalog: Catalog): Record<string, unknown> {
  const settings = catalog.methods
    .filter((m) => config.settings[m.name] !== undefined)
    .map((m) => [m.name, encode(m.settings, config.settings[m.name])]);
  return {
    version: config.version,
    services: Object.fromEntries(config.services.map((s) => [s.name, serviceToWritten(s, catalog)])),
    ...Object.fromEntries(settings),
    ...(config.workers === null ? {} : { workers: config.workers }),
    log: config.log,
    drain: formatDuration(config.drain),
  };
}

function serviceToWritten(service: Service, catalog: Catalog): Record<string, unknown> {
  const method = catalog.methods.find((m) => m.name === service.method);
  const scheduler = catalog.schedulers.find((s) => s.name === service.scheduler.name);
  return {
    method: service.method,
    listen: service.listen.map(listenerName),
    names: service.names,
    scheduler: { [service.scheduler.name]: encode(scheduler?.options, service.scheduler.options) },
    backends: service.backends.map(fromBackend),
    check: service.check === null ? "none" : checkToWritten(service.check, catalog),
    [service.method]: encode(method?.options, service.options),
  };
}

function checkToWritten(check: CheckConfig, catalog: Catalog): Record<string, unknown> {
  const definition = catalog.checks.find((c) => c.name === check.kind);
  return {
    [check.kind]: encode(definition?.options, check.options),
    interval: formatDuration(check.interval),
    timeout: formatDuration(check.timeout),
    rise: check.rise,
    fall: check.fall,
  };
}
