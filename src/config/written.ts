import type { Catalog } from "../catalog.ts";
import type { AgentConfig, CheckConfig } from "../core/check.ts";
import { type Config, type GuardLists, listenerName, type Service } from "../core/service.ts";
import { formatDuration } from "../core/words.ts";
import { fromBackend } from "./fields.ts";
import { fillDefaults } from "./fill.ts";

type Mapping = Record<string, unknown>;

const mapping = (value: unknown): Mapping =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Mapping) : {};

/**
 * A loaded configuration in its written form with every default filled in: plain JSON that loads to the same again.
 * `raw` is the value that was loaded: options are taken from it, since only a schema's way in is known.
 */
export function toWritten(config: Config, raw: unknown, catalog: Catalog): Mapping {
  const file = mapping(raw);
  const { places, geo } = config.geography;
  const settings = catalog.methods
    .filter((m) => m.settings && config.settings[m.name] !== undefined)
    .map((m) => [m.name, fillDefaults(m.settings!, file[m.name] ?? {})]);
  const services = config.services.map((s) => [
    s.name,
    toWrittenService(s, mapping(mapping(file.services)[s.name]), catalog),
  ]);
  return {
    version: config.version,
    services: Object.fromEntries(services),
    ...Object.fromEntries(settings),
    ...(geo === undefined ? {} : { geo: geo.file }),
    ...(Object.keys(places).length === 0 ? {} : { places }),
    ...(config.guard === undefined ? {} : { guard: toWrittenLists(config.guard) }),
    ...(config.workers === null ? {} : { workers: config.workers }),
    log: config.log,
    drain: formatDuration(config.drain),
    ...(config.start === undefined ? {} : { start: { remembered: formatDuration(config.start.remembered) } }),
    ...(config.secret === undefined ? {} : { secret: config.secret }),
  };
}

const toWrittenLists = ({ block, blockFiles, allow, allowFiles, errors }: GuardLists): Mapping => ({
  block,
  blockFiles: blockFiles.map(({ file }) => file),
  allow,
  allowFiles: allowFiles.map(({ file }) => file),
  ...(errors === undefined ? {} : { errors }),
});

function toWrittenService(service: Service, raw: Mapping, catalog: Catalog): Mapping {
  const own = catalog.methods
    .filter((m) => m.name === service.method || raw[m.name] !== undefined)
    .map((m) => [m.name, fillDefaults(m.options, raw[m.name] ?? {})]);
  const { name } = service.scheduler;
  const scheduler = catalog.schedulers.find((s) => s.name === name);
  const options = scheduler ? fillDefaults(scheduler.options, mapping(raw.scheduler)[name] ?? {}) : {};
  return {
    method: service.method,
    listen: service.listen.map(listenerName),
    names: service.names,
    scheduler: { [name]: options },
    // A service that is followed has one backend per listener, but was written once.
    backends: service.backends
      .filter(({ follows }, i, all) => !follows || all.findIndex((b) => b.follows === follows) === i)
      .map(fromBackend),
    nearest: service.nearest,
    check: service.check === null ? "none" : toWrittenCheck(service.check, mapping(raw.check), catalog),
    ...(service.agent ? { agent: toWrittenAgent(service.agent) } : {}),
    ...Object.fromEntries(own),
  };
}

const toWrittenAgent = ({ port, interval, timeout, send }: AgentConfig): Mapping => ({
  port,
  interval: formatDuration(interval),
  timeout: formatDuration(timeout),
  ...(send === undefined ? {} : { send }),
});

function toWrittenCheck(check: CheckConfig, raw: Mapping, catalog: Catalog): Mapping {
  const { kind, interval, timeout, rise, fall, damp } = check;
  const definition = catalog.checks.find((c) => c.name === kind);
  const given = raw[kind] ?? {};
  const short = typeof given === "object" ? given : (definition?.fromShort?.(given) ?? {});
  return {
    [kind]: definition ? fillDefaults(definition.options, short) : short,
    interval: formatDuration(interval),
    timeout: formatDuration(timeout),
    rise,
    fall,
    ...(damp === undefined ? {} : { damp: formatDuration(damp) }),
  };
}
