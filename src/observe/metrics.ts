import type { BackendState } from "../core/backend.ts";
import { type CounterName, type Counts, counterNames, counters } from "../core/counters.ts";
import type { BackendStatus, ServiceStatus, StatusModel } from "./status.ts";

/** Names and values as they stand between the braces; empty: there are none. */
type Labels = string;
interface Family {
  name: string;
  help: string;
  type: "counter" | "gauge";
  /** What follows the name on each line; made while it is written, for there may be a million. */
  samples: Iterable<string>;
}

/** What a count is called in metrics: the noun with its unit. */
const metricWords: Record<CounterName, string> = {
  connections: "connections_total",
  active: "active",
  requests: "requests_total",
  errors: "errors_total",
  retries: "retries_total",
  packetsIn: "received_packets_total",
  packetsOut: "sent_packets_total",
  bytesIn: "received_bytes_total",
  bytesOut: "sent_bytes_total",
  drops: "dropped_packets_total",
  failures: "failures_total",
  unlogged: "unlogged_total",
  waited: "wait_seconds_total",
  queued: "queued",
};

const states: readonly BackendState[] = ["up", "down", "draining", "maintenance", "unchecked"];

/** Characters of a part, about. */
const PART = 1 << 16;

/**
 * A status as Prometheus text (exposition format 0.0.4), in parts: of a hundred thousand backends it is a hundred
 * megabytes. A count that a method cannot know has no series: absent, not zero.
 */
export function* metricsParts(model: StatusModel): Generator<string> {
  for (const family of instanceFamilies(model)) yield* familyParts(family);
  for (const family of serviceFamilies(model.services)) yield* familyParts(family);
  for (const family of backendFamilies(model.services)) yield* familyParts(family);
}

/** A family without series is left out. */
function* familyParts({ name, help, type, samples }: Family): Generator<string> {
  const head = `# HELP ${name} ${help.replace(/[\\\n]/g, escapes)}\n# TYPE ${name} ${type}\n`;
  let text = head;
  for (const sample of samples) {
    text += `${name}${sample}\n`;
    if (text.length < PART) continue;
    yield text;
    text = "";
  }
  if (text !== "" && text !== head) yield text;
}

/** The same in one piece. */
export const metricsText = (model: StatusModel): string => [...metricsParts(model)].join("");

const gauge = (name: string, help: string, samples: Family["samples"]): Family => ({
  name,
  help,
  type: "gauge",
  samples,
});

function instanceFamilies(model: StatusModel): Family[] {
  const one = (value: number, labels: Labels = "") => [sample(labels, value)];
  return [
    gauge("sluice_build_info", "The running version; always 1.", one(1, labelText({ version: model.version }))),
    gauge("sluice_config_revision", "Number of the running configuration.", one(model.revision)),
    gauge("sluice_start_time_seconds", "When the daemon started, seconds since 1970.", one(model.since / 1000)),
    gauge("sluice_workers", "Worker processes.", one(model.workers)),
    gauge(
      "sluice_spare_worker",
      "1: a started worker waits to take the place of one that dies.",
      one(Number(model.spare)),
    ),
    {
      name: "sluice_method_events_total",
      help: "What happened at a method beside its services, by code.",
      type: "counter",
      samples: model.methods.flatMap(({ name, tallies }) =>
        Object.entries(tallies).map(([code, value]) => sample(labelText({ method: name, code }), value ?? 0)),
      ),
    },
  ];
}

/** How often each value stands in a list. */
function tally<T>(values: readonly T[]): Map<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function serviceFamilies(services: readonly ServiceStatus[]): Family[] {
  const labels = (service: ServiceStatus): Labels => labelText({ service: service.name, method: service.method });
  return [
    gauge(
      "sluice_service_serving",
      "1 when the service runs, 0 when it failed or stands by.",
      services.map((s) => sample(labels(s), s.state === "serving" ? 1 : 0)),
    ),
    gauge(
      "sluice_service_backends",
      "Backends of the service.",
      services.map((s) => sample(labels(s), s.backends.length)),
    ),
    gauge(
      "sluice_service_eligible_backends",
      "Backends that may get new work.",
      services.map((s) => sample(labels(s), s.backends.filter((b) => b.eligible).length)),
    ),
    ...countFamilies(
      "service",
      services.map((s) => ({ labels: labels(s), counts: s.counts })),
    ),
    gauge(
      "sluice_service_troubles",
      "What is wrong around the service now, by code.",
      services.flatMap((s) =>
        [...tally(s.troubles.map(({ code }) => code))].map(([code, value]) =>
          sample(withLabel(labels(s), "code", code), value),
        ),
      ),
    ),
    gauge(
      "sluice_service_failed",
      "1 for the code for which a service could not start.",
      services.flatMap((s) => (s.problem ? [sample(withLabel(labels(s), "code", s.problem.code), 1)] : [])),
    ),
    gauge(
      "sluice_group_good",
      "1 when enough of the group's backends are up for it to be chosen.",
      services.flatMap((s) =>
        (s.groups ?? []).map(({ path, good }) => sample(withLabel(labels(s), "group", path), good ? 1 : 0)),
      ),
    ),
    gauge(
      "sluice_group_backends_up",
      "How many backends of the group are up.",
      services.flatMap((s) => (s.groups ?? []).map(({ path, up }) => sample(withLabel(labels(s), "group", path), up))),
    ),
    {
      name: "sluice_service_drops_total",
      help: "Packets dropped, by reason.",
      type: "counter",
      samples: services.flatMap((s) =>
        Object.entries(s.drops).map(([code, value]) => sample(withLabel(labels(s), "code", code), value ?? 0)),
      ),
    },
  ];
}

function* backendFamilies(services: readonly ServiceStatus[]): Generator<Family> {
  const all = services.flatMap(({ name, backends }) => {
    const owner = labelText({ service: name });
    return backends.map((backend): Named => ({ backend, labels: withLabel(owner, "backend", backend.name) }));
  });
  const each: Each = function* (value) {
    for (const { backend, labels } of all) {
      const number = value(backend);
      if (number !== null && number !== undefined) yield sample(labels, number);
    }
  };
  yield gauge("sluice_backend_state", "1 for the state that the backend is in.", stateSamples(all));
  yield gauge(
    "sluice_backend_eligible",
    "1 when the backend may get new work.",
    each((b) => (b.eligible ? 1 : 0)),
  );
  yield gauge(
    "sluice_backend_weight",
    "Effective weight.",
    each((b) => b.weight),
  );
  yield gauge(
    "sluice_backend_share_ratio",
    "Part of new work that the weight gives it, 0 to 1.",
    each((b) => b.share),
  );
  yield gauge(
    "sluice_backend_state_time_seconds",
    "When it came into its state, seconds since 1970.",
    each((b) => b.since / 1000),
  );
  yield* checkFamilies(all, each);
  yield* reportFamilies(each);
  yield* countFamilies(
    "backend",
    all.map(({ backend, labels }) => ({ labels, counts: backend.counts })),
  );
}

function* stateSamples(all: readonly Named[]): Generator<string> {
  const ends = states.map((state) => ({ state, label: `,state="${state}"` }));
  for (const { backend, labels } of all)
    for (const { state, label } of ends) yield sample(labels + label, backend.state === state ? 1 : 0);
}

interface Named {
  backend: BackendStatus;
  labels: Labels;
}
/** Samples of one number of every backend; those that lack it have none. */
type Each = (value: (backend: BackendStatus) => number | null | undefined) => Iterable<string>;

function checkFamilies(all: readonly Named[], each: Each): Family[] {
  return [
    gauge(
      "sluice_backend_ejected",
      "1 while it gets no work because its requests failed.",
      each((b) => (b.ejected === undefined ? null : b.ejected === null ? 0 : 1)),
    ),
    gauge(
      "sluice_backend_check_passed",
      "1 when the last check passed.",
      each((b) => b.check && (b.check.code === "SLUICE_CHECK_OK" ? 1 : 0)),
    ),
    gauge(
      "sluice_backend_check_latency_seconds",
      "How long the last check's answer took.",
      each((b) => ((b.check?.latency ?? null) === null ? null : Math.round(b.check!.latency! * 1000) / 1e6)),
    ),
    gauge(
      "sluice_backend_check_time_seconds",
      "When the last check ended, seconds since 1970.",
      each((b) => b.check && b.check.at / 1000),
    ),
    gauge(
      "sluice_backend_check_result",
      "1 for the code of the last check.",
      all.flatMap(({ backend, labels }) =>
        backend.check ? [sample(withLabel(labels, "code", backend.check.code), 1)] : [],
      ),
    ),
  ];
}

/** What backends say of themselves. */
function reportFamilies(each: Each): Family[] {
  return [
    gauge(
      "sluice_backend_load_ratio",
      "Load that the backend reports, 0 to 1.",
      each((b) => b.load),
    ),
    gauge(
      "sluice_backend_reported_limit",
      "Most units of work at a time that the backend says it takes.",
      each((b) => b.limit),
    ),
    gauge(
      "sluice_backend_operator_words",
      "How many things an operator has said of the backend that hold instead of the file's.",
      each((b) => b.operator?.length),
    ),
    gauge(
      "sluice_backend_agent_weight_ratio",
      "Part of its weight that the backend's agent asks for.",
      each((b) => b.agent && b.agent.percent / 100),
    ),
    gauge(
      "sluice_backend_agent_answered",
      "1 when the backend's agent answered last time; without an answer what it said before stands.",
      each((b) => b.agent && (b.agent.code === "SLUICE_CHECK_OK" ? 1 : 0)),
    ),
  ];
}

interface Counted {
  labels: Labels;
  counts: Counts;
}

function* countFamilies(noun: string, owners: readonly Counted[]): Generator<Family> {
  for (const counter of counterNames) {
    const { help, kind: type } = counters[counter];
    yield { name: `sluice_${noun}_${metricWords[counter]}`, help, type, samples: countSamples(owners, counter) };
  }
}

function* countSamples(owners: readonly Counted[], counter: CounterName): Generator<string> {
  for (const { labels, counts } of owners) {
    const value = counts[counter];
    if (value !== null) yield sample(labels, value);
  }
}

const sample = (labels: Labels, value: number): string =>
  labels === "" ? ` ${numberText(value)}` : `{${labels}} ${numberText(value)}`;

const labelText = (labels: Record<string, string>): Labels =>
  Object.keys(labels)
    .map((name) => `${name}="${escapeLabel(labels[name]!)}"`)
    .join(",");

const withLabel = (labels: Labels, name: string, value: string): Labels => `${labels},${name}="${escapeLabel(value)}"`;

/** A label's value as the format wants it: backslash, quote and line feed escaped, other characters as they are. */
export const escapeLabel = (value: string): string => value.replace(/[\\"\n]/g, escapes);

const escapes = (character: string): string => (character === "\n" ? "\\n" : `\\${character}`);

const numberText = (value: number): string =>
  Number.isNaN(value) ? "NaN" : Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : "-Inf";
