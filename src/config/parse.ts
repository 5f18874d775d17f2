import type { Catalog } from "../catalog.ts";
import type { Place, Problem } from "../core/problem.ts";
import type { Config, Service } from "../core/service.ts";
import { type ParsedDocument, parseConfigDocument } from "./document.ts";
import { expandFollowed } from "./followed.ts";
import { issuesToProblems, pathText } from "./issues.ts";
import { type Finding, fittingSchedulers, judge } from "./judge.ts";
import { toConfig, toGeography, toService } from "./normalise.ts";
import { readPlainYaml } from "./plain-yaml.ts";
import { configSchema, geographySchema, serviceSchema } from "./schema.ts";
import { createSourceText, type SourceText, wholeFile } from "./source-text.ts";

/** Largest configuration that is read, bytes: 100,000 backends in a file that is written with room have some 10 MiB. */
export const MAX_CONFIG_BYTES = 16 * 2 ** 20;

interface Judged {
  /** All errors and warnings, by position, each with its place. */
  problems: Problem[];
  /** For excerpts. */
  source: SourceText;
}
/** What came of a configuration: the value with warnings at most, or the problems that refuse it. */
export type Loaded = Judged &
  (
    | {
        ok: true;
        value: Config;
        /** The plain value as it was written. */
        raw: unknown;
        warnings: Problem[];
        /** Path of the bundle of a TypeScript configuration, when it was kept. */
        bundle: string | null;
        /** Gives what is found out later, when it is put into force, its place in the file. */
        located(problem: Problem): Problem;
      }
    | { ok: false; warnings: Problem[] }
  );

type Locate = (problem: Problem) => Place;

const placeIn =
  ({ locate }: ParsedDocument): Locate =>
  ({ path, code }) =>
    locate(path, code === "SLUICE_CONFIG_KEY" ? "key" : "value");

/** Parses and judges a YAML or JSON text. Never throws; reports every problem it can see at once. */
export function parseConfig(file: string, text: string, catalog: Catalog): Loaded {
  // Places are asked for only where there is something to say.
  const quick = readPlainYaml(text);
  const flawless = quick && parseValue(quick.value, catalog);
  if (flawless?.config && flawless.problems.length === 0)
    return finish([], flawless.config, quick!.value, createSourceText(file, text), (problem) =>
      placeIn(parseConfigDocument(file, text))(problem),
    );
  const document = parseConfigDocument(file, text);
  const locate = placeIn(document);
  if (document.value === undefined) return finish(document.problems, null, undefined, document.source, locate);
  const { problems, config } = parseValue(document.value, catalog);
  const repeated = new Set(document.problems.map((p) => pathText(p.path)));
  return finish(
    [...document.problems, ...problems.filter((p) => !sameKey(p, repeated))],
    config,
    document.value,
    document.source,
    locate,
  );
}

/** A key that stands twice is unknown twice: once is enough. */
const sameKey = (problem: Problem, repeated: ReadonlySet<string>): boolean =>
  problem.code === "SLUICE_CONFIG_KEY" && repeated.has(pathText(problem.path));

/** Judges a plain value that a program made: its problems have the file as their place. */
export function parseConfigValue(file: string, value: unknown, catalog: Catalog, bundle: string | null): Loaded {
  const { problems, config } = parseValue(value, catalog);
  const loaded = finish(problems, config, value, createSourceText(file, ""), () => wholeFile(file));
  return loaded.ok ? { ...loaded, bundle } : loaded;
}

function finish(found: Finding[], config: Config | null, raw: unknown, source: SourceText, locate: Locate): Loaded {
  const problems = found.map((finding) => placed(finding, locate)).sort(byPlace);
  const warnings = problems.filter((p) => p.severity === "warning");
  if (config === null || warnings.length < problems.length) return { ok: false, problems, warnings, source };
  // A problem of no part of the file is none of its first line.
  const located = (problem: Problem): Problem => (problem.path.length > 0 ? placed(problem, locate) : problem);
  return { ok: true, value: config, raw, problems, warnings, source, bundle: null, located };
}

function placed({ alsoAt, ...problem }: Finding, locate: Locate): Problem & { place: Place } {
  const place = problem.place ?? locate(problem);
  const also = alsoAt?.map(({ path, message }) => ({ place: locate({ ...problem, path }), message }));
  return { ...problem, place, ...(also ? { also } : {}) };
}

const byPlace = (a: Problem & { place: Place }, b: Problem & { place: Place }): number =>
  a.place.line - b.place.line ||
  a.place.column - b.place.column ||
  pathText(a.path).localeCompare(pathText(b.path)) ||
  a.message.localeCompare(b.message);

/** Schema, defaults and judgement of a plain value. Services that parse are judged even when others do not. */
function parseValue(value: unknown, catalog: Catalog): { problems: Finding[]; config: Config | null } {
  const schema = configSchema(catalog);
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) {
    const problems: Finding[] = [];
    const sound = Object.entries(parsed.data.services).flatMap(
      ([name, written]) => toService(name, written, catalog, problems) ?? [],
    );
    const services = expandFollowed(sound, Object.keys(parsed.data.services), catalog, problems);
    const config = toConfig(parsed.data, services, catalog, problems);
    problems.push(...judge(config, catalog, config.geography));
    return { problems, config };
  }
  const problems: Finding[] = issuesToProblems(parsed.error.issues, schema, value).map((p) =>
    fitting(p, value, catalog),
  );
  const services = soundServices(value, problems, catalog);
  const geography = geographySchema.safeParse(value);
  const config: Config = { ...emptyConfig, services };
  for (const method of catalog.methods) {
    const own = method.settings?.safeParse((value as Record<string, unknown> | null)?.[method.name]);
    if (own?.success && own.data !== undefined) config.settings = { ...config.settings, [method.name]: own.data };
  }
  problems.push(...judge(config, catalog, geography.success ? toGeography(geography.data) : undefined));
  return { problems, config: null };
}

const emptyConfig: Config = {
  version: 1,
  services: [],
  settings: {},
  geography: { places: {} },
  workers: null,
  log: { level: "info", format: "text" },
  drain: 0,
};

function soundServices(value: unknown, problems: Finding[], catalog: Catalog): Service[] {
  const written = (value as { services?: unknown } | null)?.services;
  if (typeof written !== "object" || written === null || Array.isArray(written)) return [];
  const schema = serviceSchema(catalog);
  const unsound = new Set(problems.filter((p) => p.path[0] === "services").map((p) => p.path[1]));
  const sound = Object.entries(written).flatMap(([name, service]) => {
    const parsed = unsound.has(name) ? null : schema.safeParse(service);
    return parsed?.success ? (toService(name, parsed.data, catalog, problems) ?? []) : [];
  });
  return expandFollowed(sound, Object.keys(written), catalog, problems);
}

/** Of the words for a scheduler, only those that fit the method that was chosen. */
function fitting(problem: Problem, value: unknown, catalog: Catalog): Problem {
  const [top, name, key, more] = problem.path;
  if (top !== "services" || key !== "scheduler" || more !== undefined || !problem.valid) return problem;
  const service = (value as { services: Record<string, { method?: unknown }> }).services[name!];
  const method = catalog.methods.find((m) => m.name === service?.method);
  if (!method) return problem;
  const fit = new Set(fittingSchedulers(method, catalog));
  return { ...problem, valid: problem.valid.filter((word) => fit.has(word)) };
}
